"""Each leak that the demo plants is caught: by the time rules and their audit, by a contract, by name, at the gate."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from product_affinity import cli
from product_affinity.contracts.facts import Facts
from product_affinity.demo.traps import TRAPS
from product_affinity.features import build_features
from product_affinity.features.audit import AuditReport, audit, compare, rebuild
from product_affinity.features.unproven import NOT_OWNED, unproven_columns
from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.prepare import Prepared, prepare
from product_affinity.project import load_project
from product_affinity.schema import Table
from product_affinity.spine import build_pairs, build_spine
from tests.features.builders import family, read_carelessly

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


def column_of(name: str, source: str, signal: str, **declared: str) -> str:
    """A family file as somebody would add it who trusts the column."""
    lines = {"unit": "things", "missing": "unknown", "direction": "none", "reason": "none"} | declared
    body = "".join(f"    {key}: {value}\n" for key, value in lines.items())
    return f"family: {name}\ngrain: account\nsource: {source}\nsignals:\n  {signal}:\n{body}"


CURRENT_STATE, FULL_HISTORY = "productsinuse_products_in_use_last", "adoptionrate_adoption_rate_last"
NAIVE = {
    "productsinuse": column_of("productsinuse", "accounts", "products_in_use", of="products_in_use", ops="[last]"),
    "adoptionrate": column_of("adoptionrate", "accounts", "adoption_rate", of="adoption_rate", ops="[last]"),
    "pooleduse": column_of("pooleduse", "usage", "active_users", of="active_users", ops="[mean]", windows="[28]"),
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


@pytest.mark.parametrize("trap", ["enrichment_after_sale", "backdated_opportunities", "restated_health"])
def test_what_became_known_after_the_sale_is_not_seen_and_the_audit_tells(trapped, trap, monkeypatch):
    report = audited(trapped, trap)
    assert report.passed, report.render()
    read_carelessly(monkeypatch, {"f._known_on": "f._event_on"})
    assert {difference.replay for difference in audited(trapped, trap).differences} == {"truncated", "scrambled"}


def test_off_by_one_dates_the_day_of_the_purchase_is_outside_and_the_audit_tells(trapped, monkeypatch):
    """On a day with purchases: their order forms carry that very date."""
    found = trapped.facts.connection.execute(
        "select max(happened_on) from facts.signals where kind = 'order_form' and happened_on < date '2026-05-01'"
    ).fetchall()
    as_of = found[0][0]
    report = audited(trapped, "off_by_one_dates", as_of)
    assert report.passed, report.render()
    read_carelessly(monkeypatch, {"f._known_on": "(f._known_on - 1)", "f._event_on": "(f._event_on - 1)"})
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


def test_deleted_churned_accounts_stop_the_run_above_the_tolerated_share(trapped, tmp_path, monkeypatch, capsys):
    root = copied(trapped, tmp_path)
    replace_in(root / "affinity.toml", "tolerated_share = 0.05", "tolerated_share = 0.001")
    assert affinity(monkeypatch, "check", root) == 10
    said = capsys.readouterr()
    assert "not in accounts" in said.out + said.err


def test_what_no_date_gives_away_is_named_before_anything_is_learnt(trapped):
    """A value of today on every version, a rate over all of history, and use before billing that a signal reads."""
    found = {found.source: found for found in unproven_columns(trapped.facts, trapped.project.families)}
    assert found["accounts.products_in_use"].columns == (CURRENT_STATE,)
    assert found["accounts.adoption_rate"].columns == (FULL_HISTORY,)
    assert found[f"usage.{NOT_OWNED}"].columns == ("pooleduse_active_users_mean_28d",)
    assert not any(found[name].withheld for name in found if name.startswith(("accounts", "usage")))


def test_the_families_we_ship_rest_on_none_of_them(trapped):
    shipped = tuple(family for family in trapped.project.families if family.family not in NAIVE)
    found = unproven_columns(trapped.facts, shipped)
    assert {one.source for one in found if not one.withheld} == set()


def test_use_before_billing_changes_no_family_we_ship(trapped):
    """Independent of how features are read: without those rows every shipped column is the same, a careless one not."""
    project, facts = trapped.project, trapped.facts
    shipped = tuple(family for family in project.families if family.family not in NAIVE)
    day = facts.connection.execute(
        "with bought as (select account_id, product_id, min(start_on) as first_on from facts.subscriptions "
        "group by all) select max(date) from facts.usage join bought using (account_id, product_id) "
        "where date < first_on - 2"
    ).fetchall()[0][0]
    as_of = day + dt.timedelta(days=1)
    spine = build_spine(facts, project.settings.segments, [as_of])
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    with_them = build_features(facts, project.catalog, shipped, spine, pairs)
    honest = rebuild(facts, as_of, without_early_use)
    without = build_features(honest, project.catalog, shipped, spine, pairs)
    assert len(honest.connection.execute("select 1 from facts.usage").fetchall()) < facts_in(facts, "usage")
    for grain in ("account", "pair"):
        assert list(compare(getattr(with_them, grain), getattr(without, grain), "unprovisioned")) == []
    naive = tuple(family for family in project.families if family.family == "pooleduse")
    seen, unseen = (build_features(f, project.catalog, naive, spine, pairs).account for f in (facts, honest))
    assert list(compare(seen, unseen, "unprovisioned")), "a signal that reads all use does see them"


def without_early_use(table: Table, extras: tuple[str, ...], as_of: str) -> str:
    """The log without the use of products that start on the date or later."""
    columns = ", ".join(f'"{name}"' for name in (*table.names, *extras))
    rows = f"select {columns} from facts.{table.name} as f"
    if table.name not in ("usage", "feature_usage"):
        return rows
    return (
        f"{rows} where coalesce((select min(start_on) from facts.subscriptions as sub "
        f"where sub.account_id = f.account_id and sub.product_id = f.product_id), date '0001-01-01') < {as_of}"
    )


def facts_in(facts: Facts, table: str) -> int:
    return len(facts.connection.execute(f"select 1 from facts.{table}").fetchall())


def copied(trapped: Prepared, folder: Path, *naive: str) -> Path:
    """A copy of the project with only these of the careless families."""
    root = folder / "company"
    shutil.copytree(trapped.project.root, root)
    for name in NAIVE.keys() - set(naive):
        (root / "features" / f"{name}.yml").unlink()
    return root


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def affinity(monkeypatch: pytest.MonkeyPatch, command: str, root: Path, *more: str) -> int:
    """Run the command line and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["affinity", command, "--project", str(root), "--as-of", str(UNTIL), *more])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize(
    ("trap", "name", "column"),
    [
        pytest.param("current_state", "productsinuse", CURRENT_STATE, marks=pytest.mark.slow),
        ("full_history_encoding", "adoptionrate", FULL_HISTORY),
    ],
)
def test_a_column_that_knows_the_answer_is_said_in_training_and_refused(
    trapped, trap, name, column, tmp_path, monkeypatch, capsys, caplog
):
    """From the command line, with the gate as shipped; only the recipe is smaller, to be quick."""
    assert trap in {planted.name for planted in TRAPS}
    root = copied(trapped, tmp_path, name)
    replace_in(root / "models" / "defaults.yml", "[pooled, heads, ridge]", "[pooled]")
    replace_in(root / "models" / "defaults.yml", "n_resamples: 200", "n_resamples: 20")
    replace_in(root / "affinity.toml", "folds = 4", "folds = 1")
    days = ["2025-05-31", "2025-07-31", "2025-09-30", "2025-11-30", "2026-02-28"]
    replace_in(root / "affinity.toml", 'as_ofs = "month_end"', f"as_ofs = {days}")
    assert affinity(monkeypatch, "train", root, "--jobs", "1") == 0
    assert f"it may say what is true today: {column}" in caplog.text
    card = next((root / "var" / "bundles").glob("*/*.md")).read_text(encoding="utf-8")
    assert f"so at past dates it may say what is true today: {column}" in card
    capsys.readouterr()
    assert affinity(monkeypatch, "compare", root) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "not provable in time, as their sources keep no history: 1 input(s) with" in shown
    assert column in shown
    assert affinity(monkeypatch, "promote", root) == 12
    refusal = capsys.readouterr().err
    assert "P09 largest shares of the gain" in refusal
    assert f"{column} may know the answer" in refusal


def test_every_trap_has_its_guard_in_the_docs(trapped):
    described = json.loads((trapped.project.root / "truth" / "traps.json").read_text(encoding="utf-8"))
    page = (Path(__file__).parents[2] / "docs" / "point-in-time.md").read_text(encoding="utf-8")
    assert {trap["name"] for trap in described} == {trap.name for trap in TRAPS}
    for trap in TRAPS:
        line = next(line for line in page.splitlines() if line.startswith(f"| {trap.name.replace('_', ' ')} |"))
        tests = re.findall(r"`(test_\w+)`", line)
        assert tests, line
        assert all(test in globals() for test in tests), line
