"""Each leak that the demo plants is caught: by the time rules and their audit, by a contract, or in training."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from types import SimpleNamespace

import pandas as pd
import pytest

from product_affinity.demo.traps import TRAPS
from product_affinity.features import tiles
from product_affinity.features.audit import AuditReport, audit
from product_affinity.models.metrics import average_precision
from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.prepare import Prepared, prepare
from product_affinity.pipeline.recipe import Recipe
from product_affinity.pipeline.table import PairTable, build_training_table
from product_affinity.project import load_project
from product_affinity.project.model_spec import EstimatorSpec, GateSpec
from product_affinity.registry.checks import no_single_feature, no_sudden_jump
from product_affinity.registry.gains import gain_shares
from product_affinity.spine import build_pairs, build_spine
from tests.features.builders import family

UNTIL = dt.date(2026, 6, 30)
AS_OF = dt.date(2026, 4, 30)


def silent(sentence: str) -> None:
    del sentence


@pytest.fixture(scope="module")
def trapped(tmp_path_factory) -> Prepared:
    """A demo company with every trap in it, its sources checked."""
    root = tmp_path_factory.mktemp("traps") / "company"
    make_demo(root, accounts=400, months=17, until=UNTIL, seed=3, world="shared", traps=True, progress=silent)
    for name, text in NAIVE.items():
        (root / "features" / f"{name}.yml").write_text(text, encoding="utf-8")
    return prepare(load_project(root), UNTIL, jobs=1, progress=silent)


def column_of(source: str, grain: str, signal: str, **declared: str) -> str:
    """A family file as somebody would add it who trusts the column."""
    lines = {"unit": "things", "missing": "unknown", "direction": "none", "reason": "none"} | declared
    body = "".join(f"    {key}: {value}\n" for key, value in lines.items())
    return f"family: {signal.replace('_', '')}\ngrain: {grain}\nsource: {source}\nsignals:\n  {signal}:\n{body}"


NAIVE = {
    "productsinuse": column_of("accounts", "account", "products_in_use", of="products_in_use", ops="[last]"),
    "adoptionrate": column_of("accounts", "account", "adoption_rate", of="adoption_rate", ops="[last]"),
}


def audited(trapped: Prepared, trap: str, as_of: dt.date = AS_OF) -> AuditReport:
    project = trapped.project
    spine = build_spine(trapped.facts, project.settings.segments, [as_of])
    pairs = build_pairs(trapped.facts, project.catalog, project.model_spec, spine)
    return audit(trapped.facts, project.catalog, (READ[trap],), spine, pairs, as_of)


READ = {
    "enrichment_after_sale": family(
        "firmographic", source="accounts", signals={"technologies": {"of": "technologies", "ops": ["last"]}}
    ),
    "backdated_opportunities": family(
        "deals", source="opportunities", signals={"opened": {"ops": ["count"], "windows": [60]}}
    ),
    "restated_health": family(
        "health", source="health", signals={"score": {"of": "score", "ops": ["mean"], "windows": [90]}}
    ),
    "off_by_one_dates": family(
        "forms", source="signals", signals={"ordered": {"where": {"kind": "order_form"}, "ops": ["count"]}}
    ),
}


def read_carelessly(monkeypatch: pytest.MonkeyPatch, right: str, careless: str) -> None:
    rows = tiles._rows
    monkeypatch.setattr(tiles, "_rows", lambda *scan: rows(*scan).replace(right, careless))


@pytest.mark.parametrize("trap", ["enrichment_after_sale", "backdated_opportunities", "restated_health"])
def test_what_became_known_after_the_sale_is_not_seen_and_the_audit_tells(trapped, trap, monkeypatch):
    report = audited(trapped, trap)
    assert report.passed, report.render()
    read_carelessly(monkeypatch, "f._known_on, ", "")
    assert {difference.replay for difference in audited(trapped, trap).differences} == {"truncated", "scrambled"}


def test_off_by_one_dates_the_day_of_the_purchase_is_outside_and_the_audit_tells(trapped, monkeypatch):
    """On a day with purchases: their order forms carry that very date."""
    found = trapped.facts.connection.execute(
        "select max(happened_on) from facts.signals where kind = 'order_form' and happened_on < date '2026-05-01'"
    ).fetchall()
    as_of = found[0][0]
    report = audited(trapped, "off_by_one_dates", as_of)
    assert report.passed, report.render()
    right = "greatest(f._event_on, f._known_on, f._event_on)"
    read_carelessly(monkeypatch, right, f"{right} - 1")
    assert not audited(trapped, "off_by_one_dates", as_of).passed


def test_deleted_churned_accounts_are_found_by_the_contract(trapped):
    data = trapped.project.source_path
    known = set(pd.read_parquet(data / "accounts.parquet")["account_id"])
    found = {(v.table, v.column): v.rows for v in trapped.report.violations if "not in accounts" in v.what}
    for table in ("subscriptions", "contacts"):
        rows = pd.read_parquet(data / f"{table}.parquet")
        assert found[table, "account_id"] == (~rows["account_id"].isin(known)).sum() > 0
    assert not trapped.report.faults, "few enough to go on, and said"


def test_provisioning_before_billing_is_counted_by_the_check(trapped):
    keys = ["account_id", "product_id"]
    usage = trapped.facts.connection.execute("select account_id, product_id, date from facts.usage").df()
    bought = trapped.facts.connection.execute("select account_id, product_id, start_on from facts.subscriptions").df()
    first = bought.groupby(keys, as_index=False)["start_on"].min()
    early = usage.merge(first, on=keys).query("date < start_on")
    assert len(early) > 50
    notes = next(table.notes for table in trapped.report.tables if table.name == "usage")
    said = f"{len(early):,} rows of {len(early.drop_duplicates(keys)):,} purchases lie before the product's first start"
    assert any(said in note for note in notes), notes


@dataclass(frozen=True)
class Trained:
    """What training on honest columns gave, to compare with."""

    table: PairTable
    recipe: Recipe
    test: pd.DataFrame
    ap: float

    def with_column(self, name: str) -> tuple[Recipe, SimpleNamespace]:
        """Train with one more column and put the result as the promotion checks see it."""
        more = next(column for column in self.table.columns if column.name == name)
        recipe = Recipe(self.recipe.estimator, (*self.recipe.columns, more), 90, 7)
        shares, ap = fit(recipe, self.table.rows, self.test)
        judged = SimpleNamespace(
            sides=SimpleNamespace(gain_shares=shares),
            gate=GateSpec(),
            ap_ratios=lambda: [("the champion", ap / self.ap)],
            rank_skill=lambda: SimpleNamespace(estimate=0.8),
        )
        return recipe, judged


def fit(recipe: Recipe, rows: pd.DataFrame, test: pd.DataFrame):
    classifier = recipe.fit(rows, dt.date(2026, 1, 1), jobs=1)
    score = recipe.score(classifier, test)
    return gain_shares(classifier), average_precision(test["adopted"].astype(int), score)


@pytest.fixture(scope="module")
def trained(trapped) -> Trained:
    table = build_training_table(trapped, progress=silent)
    offset = trapped.project.model_spec.estimator.offset
    columns = tuple(c for c in table.columns if c.family in ("ownership", "fit") or c.name == offset)
    recipe = Recipe(EstimatorSpec(candidates=("pooled",), n_seeds=1, offset=offset), columns, 90, 7)
    rows = table.rows
    test = rows[(rows["as_of"] > pd.Timestamp(2026, 1, 1)) & rows["adopted"].notna()]
    return Trained(table, recipe, test, fit(recipe, rows, test)[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trap", "column"),
    [
        ("current_state", "productsinuse_products_in_use_last"),
        ("full_history_encoding", "adoptionrate_adoption_rate_last"),
    ],
)
def test_a_column_that_knows_the_answer_is_refused_in_training(trained, trap, column):
    assert trap in {planted.name for planted in TRAPS}
    _, judged = trained.with_column(column)
    states = {check.__name__: check(judged, UNTIL)[0] for check in (no_single_feature, no_sudden_jump)}
    assert "refused" in states.values(), (states, judged.sides.gain_shares[:3], judged.ap_ratios())
    assert judged.sides.gain_shares[0][0] == column


def test_every_trap_has_its_guard_in_the_docs(trapped):
    described = json.loads((trapped.project.root / "truth" / "traps.json").read_text(encoding="utf-8"))
    assert {trap["name"] for trap in described} == {trap.name for trap in TRAPS}
    caught = {
        *READ,
        "deleted_churned_accounts",
        "current_state",
        "full_history_encoding",
        "provisioning_before_billing",
    }
    assert caught == {trap.name for trap in TRAPS}
