"""What listed rows are compared with, against counts made by hand and features built in full."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_affinity.explain import compare_listed, comparison_date, reasons_for
from product_affinity.explain.comparisons import narrowed
from product_affinity.features import affinity_matrix, assemble, build_features
from product_affinity.project import Project
from product_affinity.project.families import feature_columns
from product_affinity.project.settings import Settings
from product_affinity.spine import build_pairs, build_spine
from tests.company import account, catalog, company, subscription
from tests.features.small_company import small_catalog, small_facts, small_frames

ROOT = Path(__file__).parents[2]
AS_OF = dt.date(2026, 11, 5)


def project(folder, catalogue, *families):
    """A project with shipped families, all unless named, and another catalogue."""
    (folder / "features").mkdir()
    for file in (ROOT / "features").iterdir():
        if not families or file.stem in families:
            shutil.copy(file, folder / "features")
    (folder / "models").mkdir()
    (folder / "models" / "defaults.yml").write_text("label: {winback_after_days: 90}\n")
    return Project(folder, Settings(), catalogue)


def compared(facts, project, listed, as_of=AS_OF):
    """Comparisons of the listed pairs, and their rows with all features."""
    spine = build_spine(facts, project.settings.segments, [as_of])
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    tables = build_features(facts, project.catalog, project.families, spine, pairs)
    population = assemble(pairs[pairs["status"].eq("white_space")].reset_index(drop=True), tables)
    keys = pd.DataFrame(listed, columns=["account_id", "product_id"])
    found = compare_listed(facts, project, keys, spine=spine, pairs=pairs, population=population, as_of=as_of)
    return found, keys.merge(population, on=["account_id", "product_id"], how="left", validate="1:1")


def said(facts, project, pair, column):
    """The sentence of one column for one pair, on whichever side it may speak."""
    found, rows = compared(facts, project, [pair])
    columns = feature_columns(project.families)
    names = {product.product_id: product.name for product in project.catalog}
    spoken = []
    for sign in (1.0, -1.0):
        alone = pd.DataFrame([[sign * (c.name == column) for c in columns]], columns=[c.name for c in columns])
        spoken += (
            reasons_for(alone, alone.head(0), rows, columns, rows["product_id"], names, found).iloc[0, :4].tolist()
        )
    return next((words for words in spoken if isinstance(words, str)), None)


def use(account_id, start, end, users, product="crm", known_at=None):
    return [
        ("usage", {"account_id": account_id, "product_id": product, "date": day, "active_users": users,
                   **({"known_at": known_at or day + pd.Timedelta(hours=30)})})
        for day in pd.date_range(start, end, inclusive="left")
    ]  # fmt: skip


def test_seats_active_up_from_august(tmp_path):
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-01-01", seats=60),
        *use("A", "2026-08-01", "2026-09-01", 28),
        *use("A", "2026-09-01", "2026-11-05", 41),
    )
    words = said(
        facts, project(tmp_path, catalog("crm", "chat"), "usage", "ownership"), ("A", "chat"), "usage_seats_used_share"
    )
    assert words == "41 of 60 seats active, up from 28 in August"


def test_what_was_not_known_then_is_not_compared_with(tmp_path):
    late = pd.Timestamp("2026-10-01")
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-01-01", seats=60),
        *use("A", "2026-07-01", "2026-08-15", 10),
        *use("A", "2026-08-15", "2026-09-01", 999, known_at=late),
        *use("A", "2026-09-01", "2026-11-05", 41),
    )
    words = said(
        facts, project(tmp_path, catalog("crm", "chat"), "usage", "ownership"), ("A", "chat"), "usage_seats_used_share"
    )
    assert words == "41 of 60 seats active, up from 10 in August"


def test_who_was_no_customer_then_has_no_past(tmp_path):
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-09-02", seats=60),
        *use("A", "2026-07-01", "2026-11-05", 41),
    )
    words = said(
        facts, project(tmp_path, catalog("crm", "chat"), "usage", "ownership"), ("A", "chat"), "usage_seats_used_share"
    )
    assert words == "41 of 60 seats active"


@given(st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)))
def test_a_window_of_28_days_lies_in_the_month_compared_with_and_two_to_three_months_back(as_of):
    then = comparison_date(as_of)
    assert 60 <= (as_of - then).days <= 91
    assert (then - dt.timedelta(days=28)).month == (then - dt.timedelta(days=1)).month


def alike(count, owners, first=0):
    """So many retail companies below 200 employees; the first of them own chat, all own crm."""
    rows = []
    for k in range(first, first + count):
        rows += [account(f"P-{k:02}", employees=50, industry="retail"), subscription(f"P-{k:02}", "crm", "2025-01-01")]
        rows += [subscription(f"P-{k:02}", "chat", "2025-01-01")] if k - first < owners else []
    return rows


@pytest.mark.parametrize(
    ("peers", "owners", "words"),
    [
        (13, 5, "38% of 13 other companies of this size and industry own CHAT"),
        (10, 2, "20% of 10 other companies of this size and industry own CHAT"),
        (9, 5, None),
        (13, 0, None),
    ],
)
def test_peers_are_counted_from_ten_on_and_never_named(tmp_path, peers, owners, words):
    facts = company(
        account("A", employees=60, industry="retail"),
        subscription("A", "crm", "2026-01-01"),
        account("Other", employees=60, industry="media"),
        subscription("Other", "chat", "2025-01-01"),
        account("Big", employees=6000, industry="retail"),
        subscription("Big", "chat", "2025-01-01"),
        *alike(peers, owners),
    )
    told = said(facts, project(tmp_path, catalog("crm", "chat"), "commercial"), ("A", "chat"), "commercial_peers")
    assert told == words


def test_the_best_owned_product_is_told_with_its_owners_as_counted(tmp_path):
    # of 12 crm owners who had no chat a year ago, 3 started it since; of 11 desk owners 1 did
    rows = [account("A"), subscription("A", "crm", "2025-01-01"), subscription("A", "desk", "2025-01-01")]
    for k in range(11):
        rows += [account(f"C{k}"), subscription(f"C{k}", "crm", "2025-01-01")]
        rows += [subscription(f"C{k}", "chat", "2026-05-01")] if k < 3 else []
    for k in range(10):
        rows += [account(f"D{k}"), subscription(f"D{k}", "desk", "2025-01-01")]
        rows += [subscription(f"D{k}", "chat", "2026-05-01")] if k < 1 else []
    told = said(
        company(*rows),
        project(tmp_path, catalog("crm", "chat", "desk"), "commercial"),
        ("A", "chat"),
        "commercial_affinity_max",
    )
    assert told == "25% of 12 owners of CRM took up CHAT within a year"


def test_too_few_owners_say_nothing(tmp_path):
    rows = [account("A"), subscription("A", "crm", "2025-01-01")]
    for k in range(8):
        rows += [
            account(f"C{k}"),
            subscription(f"C{k}", "crm", "2025-01-01"),
            subscription(f"C{k}", "chat", "2026-05-01"),
        ]
    facts, made = company(*rows), project(tmp_path, catalog("crm", "chat"), "commercial")
    assert said(facts, made, ("A", "chat"), "commercial_affinity_max") is None


RANDOM_AS_OF = dt.date(2026, 4, 30)


@pytest.fixture(scope="module")
def random_company(tmp_path_factory):
    made = project(tmp_path_factory.mktemp("random"), small_catalog())
    return small_facts(small_frames()), made


@pytest.fixture(scope="module")
def whole(random_company):
    """Spine, pairs and every feature at the date compared with."""
    facts, made = random_company
    then = comparison_date(RANDOM_AS_OF)
    assert then == dt.date(2026, 3, 1)
    spine = build_spine(facts, made.settings.segments, [then])
    pairs = build_pairs(facts, made.catalog, made.model_spec, spine)
    return spine, pairs, build_features(facts, made.catalog, made.families, spine, pairs)


@pytest.fixture(scope="module")
def open_pairs(random_company):
    """Every pair of the list's date."""
    facts, made = random_company
    spine = build_spine(facts, made.settings.segments, [RANDOM_AS_OF])
    return build_pairs(facts, made.catalog, made.model_spec, spine)


@pytest.fixture(scope="module")
def random_comparisons(random_company, open_pairs):
    """All white space compared."""
    listed = open_pairs.loc[open_pairs["status"].eq("white_space"), ["account_id", "product_id"]]
    return compared(*random_company, listed.to_numpy().tolist(), RANDOM_AS_OF)


def test_what_a_column_was_is_what_a_full_build_at_that_date_says(whole, random_comparisons):
    found, rows = random_comparisons
    then = pd.Series(pd.Timestamp(comparison_date(RANDOM_AS_OF)), index=rows.index, dtype="datetime64[us]")
    expected = assemble(rows[["account_id", "product_id"]].assign(as_of=then), whole[2])
    names = [name.removeprefix("previous.") for name in found.cells if name.startswith("previous.")]
    assert found.cells[[f"previous.{name}" for name in names]].notna().any().sum() > 15
    for name in names:
        np.testing.assert_array_equal(found.cells[f"previous.{name}"], expected[name], err_msg=name)


def test_narrowed_families_build_any_column_as_the_whole_does(random_company, whole):
    facts, made = random_company
    spine, pairs, tables = whole
    names = ["usage_seats_used_share", "health_index", "health_nps", "usage_adjacent_uses_trend_90d"]
    few = narrowed(made.families, names)
    assert sum(len(f.signals) + len(f.derived) for f in few) < 16
    fewer = build_features(facts, made.catalog, few, spine, pairs)
    for name in names:
        grain = "account" if name in fewer.account else "pair"
        np.testing.assert_array_equal(getattr(fewer, grain)[name], getattr(tables, grain)[name], err_msg=name)


def test_the_best_product_is_the_one_behind_the_feature(random_company, open_pairs, random_comparisons):
    """The feature is the highest shrunk rate; the words name the product that has it."""
    facts, made = random_company
    found, rows = random_comparisons
    encoding = next(f for f in made.families if f.family == "commercial").encodings["affinity"]
    matrix = affinity_matrix(facts, RANDOM_AS_OF, encoding.lookback_days, encoding.strength)
    matrix = matrix.set_index(["owned_product", "target_product"])
    owned = open_pairs[open_pairs["status"].eq("owned")].groupby("account_id")["product_id"].agg(list)
    assert found.cells["best.commercial_affinity_max"].notna().sum() > 5
    for row, cells in zip(rows.itertuples(), found.cells.to_dict("records"), strict=True):
        rates = {held: matrix.loc[(held, row.product_id), "shrunk_rate"] for held in owned[row.account_id]}
        assert max(rates.values()) == pytest.approx(row.commercial_affinity_max)
        best = cells["best.commercial_affinity_max"]
        if not pd.isna(best):
            assert rates[best.lower()] == pytest.approx(row.commercial_affinity_max)
            assert cells["peers.commercial_affinity_max"] == matrix.loc[(best.lower(), row.product_id), "exposed"]


def test_what_is_typical_is_the_median_of_at_least_ten(tmp_path):
    rows = []
    for k in range(11):
        rows += [account(f"A{k:02}")]
        rows += [subscription(f"A{k:02}", f"p{n}", "2025-01-01") for n in range(1 + k % 3)]
    made = project(tmp_path, catalog("p0", "p1", "p2", "x", "p9"), "ownership")
    found, _ = compared(company(*rows), made, [("A00", "x"), ("A00", "p1")])
    # 11 companies could buy x: 4 own one product, 4 own two, 3 own three; only 4 own no p1
    assert found.cells["typical.ownership_products_distinct"].tolist()[0] == 2.0
    assert np.isnan(found.cells["typical.ownership_products_distinct"].tolist()[1])


def test_nothing_listed_asks_for_nothing(random_company, open_pairs, random_comparisons):
    facts, made = random_company
    spine = build_spine(facts, made.settings.segments, [RANDOM_AS_OF])
    whole, rows = random_comparisons
    found = compare_listed(
        facts, made, rows.head(0), spine=spine, pairs=open_pairs, population=rows, as_of=RANDOM_AS_OF
    )
    assert list(found.cells) == list(whole.cells)
    assert found.cells.empty
