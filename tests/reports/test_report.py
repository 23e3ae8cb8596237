from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from product_affinity.reports.adjacency import suggest_adjacency
from product_affinity.reports.affinity import learn_affinity
from product_affinity.reports.outreach import measure_effect
from product_affinity.reports.points import learn_points
from product_affinity.reports.reference import AdjacencyThresholds, AffinityReference
from product_affinity.reports.report import Measured, render_report, write_report
from product_affinity.reports.rules import measure_rules, measure_values
from product_affinity.rules.criteria import FAIL, PASS
from tests.company import catalog, company
from tests.reports.builders import answer
from tests.reports.test_affinity import deal, owners
from tests.reports.test_outreach import log

AS_OF = dt.date(2026, 1, 1)
PRODUCTS = catalog("base", "crm")


@pytest.fixture(scope="module")
def measured() -> Measured:
    deals = [deal(n, "won" if n < 12 else "lost") for n in range(40)]
    reference = AffinityReference.model_validate(
        {"reference": [{"owned": "base", "target": "crm", "conversion_rate": 0.8, "days_to_close": 30}]}
    )
    rng, size = np.random.default_rng(0), 400
    pairs = pd.DataFrame({"account_id": [f"A{n}" for n in range(size)], "product_id": "crm"})
    passes = np.arange(size) % 2 == 0
    adopted = pd.Series((rng.random(size) < np.where(passes, 0.1, 0.4)).astype("int8"), dtype="Int8")
    happened = pd.DataFrame(
        {"adopted": adopted, **{name: pd.array([pd.NA] * size, dtype="Int8") for name in ("opened", "won", "churned")}}
    )
    health = answer("R01", np.where(passes, PASS, FAIL))
    facts = company(*owners(40), *deals)
    spine = pd.DataFrame({"account_id": ["A0"], "as_of": pd.to_datetime([AS_OF]), "segment": ["smb"]})
    statuses = pd.DataFrame(
        {
            "account_id": "A0",
            "product_id": ["base", "crm"],
            "as_of": spine["as_of"][0],
            "status": ["owned", "white_space"],
            "is_winback": False,
        }
    )
    return Measured(
        as_of=AS_OF,
        horizon_days=90,
        rules=measure_rules([health], pairs, happened),
        gates=measure_rules([replace(health, code="G02", title="open P1 | P2 ticket")], pairs, happened),
        values=measure_values(pd.DataFrame({"health": np.arange(size) * 1.0}), ["health"], pairs, happened),
        points=learn_points([health], {"R01": 100}, pairs, adopted),
        affinity=learn_affinity(facts, PRODUCTS, reference, AS_OF),
        adjacency=suggest_adjacency(
            facts, PRODUCTS, spine, statuses, pd.Series([0, 0], dtype="Int8"), AdjacencyThresholds()
        ),
        effect=measure_effect(log(4000, 0.05), mode="on"),
    )


def test_every_table_is_a_csv_file_that_reads_back(measured):
    files = render_report(measured)
    assert sorted(files) == [
        "adjacency.csv", "affinity.csv", "criteria.csv", "effect.csv", "effect_balance.csv", "gates.csv",
        "observational.csv", "report.md", "scorecard_points.csv", "values.csv",
    ]  # fmt: skip
    back = pd.read_csv(io.StringIO(files["affinity.csv"]), keep_default_na=False, na_values=[""])
    assert back.columns.tolist() == measured.affinity.columns.tolist()
    np.testing.assert_allclose(back["shrunk_rate"], measured.affinity["shrunk_rate"], atol=1e-6)
    assert back["won"].tolist() == [12, 0]


def test_the_page_shows_figures_with_counts_and_intervals(measured):
    page = render_report(measured)["report.md"]
    row = measured.affinity.iloc[0]
    assert f"30.0% [{row['conversion_low']:.1%}, {row['conversion_high']:.1%}] (12 of 40)" in page
    assert "converts less than the reference" in page
    assert "**R01 about R01: those who fail adopt more often**" in page
    effect = measured.effect.effects.iloc[0]
    assert f"| adoption | {effect['treated_mean']:,.4g} ({effect['treated']:,} units)" in page
    assert "open P1 \\| P2 ticket" in page, "a bar would end the cell"


def test_what_is_observational_is_never_in_the_section_of_effects(measured):
    page = render_report(measured)["report.md"]
    effects, observational = page.split("## Observational: no effect")
    assert "proposed and worked" not in effects
    assert "proposed and worked" in observational


def test_every_table_of_the_page_is_well_formed(measured):
    for block in render_report(measured)["report.md"].split("\n\n"):
        if block.startswith("|"):
            widths = {line.replace("\\|", "").count("|") for line in block.strip().splitlines()}
            assert len(widths) == 1, block


def test_an_empty_company_makes_a_page_that_says_why(measured):
    nothing = log(0, 0.0)
    empty = replace(
        measured,
        rules=measured.rules.head(0),
        gates=measured.gates.head(0),
        values=measured.values.head(0),
        points=measured.points.head(0),
        affinity=measured.affinity.head(0),
        adjacency=measured.adjacency.head(0),
        effect=measure_effect(nothing, mode="off"),
    )
    page = render_report(empty)["report.md"]
    assert "State: **off**" in page
    assert "the outreach log holds no drawn arms" in page
    assert "nan" not in page


def test_equal_figures_give_equal_bytes(measured, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, measured)
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()
        assert b"\r" not in file.read_bytes()
