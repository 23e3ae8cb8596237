"""Queries of families: what they see, what they may not, what they must give, and the shipped one by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from product_affinity.errors import UsageError
from product_affinity.features import build_features
from product_affinity.features.audit import audit
from product_affinity.project.families import FeatureFamily, feature_columns, load_families
from product_affinity.project.queries import REFUSED_FUNCTIONS, tables_read
from product_affinity.project.reading import validate
from product_affinity.schema import TABLES
from tests.company import account, catalog, company, opportunity, subscription
from tests.features.builders import DESCRIBED, build, pairs_of, spine_of, value

ROOT = Path(__file__).parents[2]
KEYS = "rows.account_id, rows.as_of"


def asked(query: str, *, grain: str = "account", **columns: dict) -> FeatureFamily:
    declared = {name: DESCRIBED | changes for name, changes in (columns or {"n": {}}).items()}
    content = {"family": "own", "grain": grain, "query": query, "columns": declared}
    return validate(FeatureFamily, content, "features/own.yml")


def counted(table: str, condition: str = "true") -> FeatureFamily:
    """How many rows of a table an account has that a query may see."""
    return asked(
        f"select {KEYS}, count(f.account_id) as n from rows left join {table} as f "
        f"on f.account_id = rows.account_id and {condition} group by all"
    )


def ticket(number: str, opened: str, **more: object) -> tuple[str, dict]:
    return "tickets", {"ticket_id": number, "account_id": "A", "opened_at": opened, "priority": "P1", **more}


def test_a_query_sees_only_rows_usable_at_each_date():
    facts = company(
        account("A"),
        ticket("t1", "2026-01-05 09:00", known_at="2026-01-07 09:00"),
        ticket("t2", "2026-01-07 09:00", known_at="2026-01-07 09:00"),
        # t1 as corrected later: still one row
        ticket("t1", "2026-01-05 09:00", known_at="2026-01-09 09:00"),
    )
    days = ["2026-01-06", "2026-01-07", "2026-01-08", "2026-01-10"]
    tables = build(facts, counted("tickets"), as_ofs=days)
    assert [value(tables, "own_n", day) for day in days] == [0.0, 0.0, 2.0, 2.0]


def test_the_day_is_the_local_one():
    facts = company(account("A"), ticket("t1", "2026-01-06 23:30"), timezone="Europe/Berlin")
    tables = build(facts, counted("tickets", "opened_on = date '2026-01-07'"), as_ofs=["2026-01-07", "2026-01-08"])
    assert [value(tables, "own_n", day) for day in ("2026-01-07", "2026-01-08")] == [0.0, 1.0]


def test_closing_columns_are_null_until_their_day_has_passed():
    facts = company(
        account("A"),
        opportunity("o1", "A", "crm", "2026-01-01", closed_on="2026-01-20", result="lost", stage="late"),
        ticket("t1", "2026-01-01 09:00", closed_at="2026-01-20 09:00"),
    )
    closed = counted("opportunities", "(closed_on is not null or result is not null)")
    solved = counted("tickets", "(closed_at is not null or closed_on is not null)")
    for family in (closed, solved):
        tables = build(facts, family, as_ofs=["2026-01-20", "2026-01-21"])
        assert [value(tables, "own_n", day) for day in ("2026-01-20", "2026-01-21")] == [0.0, 1.0]
    # a stage has no date of its own: unversioned rows do not tell it
    tables = build(facts, counted("opportunities", "stage = 'late'"), as_ofs=["2026-02-01"])
    assert value(tables, "own_n", "2026-02-01") == 0


@pytest.mark.parametrize("name", [*TABLES])
def test_no_relation_tells_when_a_row_is_superseded(name):
    for column in ("_superseded_on", "_known_on", "_event_on"):
        with pytest.raises(UsageError, match=column):
            build(company(account("A")), counted(name, f"f.{column} is null"), as_ofs=["2026-01-10"])


def test_rows_owned_products_adjacency_and_paid():
    products = catalog(
        "crm",
        "chat",
        "desk",
        crm={"core_features": ["a", "b"], "launched_on": "2025-01-01"},
        desk={"adjacency": {"crm": {"icp_overlap": "high", "workflow_integration": "low"}}},
    )
    query = """
        select rows.*, owned.is_core as core, quadrant as place, len(p.core_features) as features,
            $as_of - p.launched_on as age, (select count(*) from subscriptions as s where s.paid) as paid
        from rows
        left join owned on owned.account_id = rows.account_id
        left join products as p on p.product_id = owned.product_id
        left join adjacency as beside
            on beside.product_id = rows.product_id and beside.owned_product_id = owned.product_id
    """
    columns = {"core": {}, "place": {"unit": "category"}, "features": {}, "age": {}, "paid": {}}
    facts = company(
        account("A"), subscription("A", "crm", "2025-01-01"), subscription("A", "chat", "2025-01-01", is_trial=True)
    )
    tables = build(
        facts,
        asked(query, grain="pair", **columns),
        as_ofs=["2026-01-01"],
        accounts=("A", "B"),
        products=("crm", "chat", "desk"),
        owned={"A": ["crm"]},
        catalogue=products,
    )
    row = tables.pair.set_index(["account_id", "product_id"])
    found = row.loc[("A", "desk"), ["own_core", "own_place", "own_features", "own_age", "own_paid"]]
    assert found.tolist() == [1.0, "problem_first", 2.0, 365.0, 1.0]
    assert row.loc[("A", "chat"), ["own_core", "own_place"]].isna().tolist() == [False, True]
    assert row.loc[("B", "desk"), ["own_core", "own_place", "own_features"]].isna().all()


def test_what_a_table_is_needed_for_is_missing_until_it_has_rows():
    query = f"select {KEYS}, 1 as n, 2 as always from rows"
    family = asked(query, n={"needs": ["tickets"]}, always={})
    facts = company(account("A"), ticket("t1", "2026-01-09 09:00"))
    days = ["2026-01-09", "2026-01-10"]
    tables = build(facts, family, as_ofs=days)
    assert tables.account["own_n"].isna().tolist() == [True, False]
    assert tables.account["own_always"].tolist() == [2.0, 2.0]


def test_a_row_not_given_and_a_division_by_zero_are_missing():
    family = asked(f"select {KEYS}, 1 / (case when rows.account_id = 'B' then 0 else 2 end) as n from rows "
                   "where rows.account_id <> 'C'")  # fmt: skip
    tables = build(company(account("A")), family, as_ofs=["2026-01-10"], accounts=("A", "B", "C"))
    assert tables.account["own_n"].fillna(-1).tolist() == [0.5, -1, -1]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select rows.account_id, rows.as_of, 1 as n from rosw", "relation rosw is unknown (did you mean rows?)"),
        ("select account_id, as_of, 1 as n from usge", "relation usge is unknown (did you mean usage?)"),
        ("select account_id, as_of, 1 as n from facts.usage", "relation facts.usage: name it without a schema, usage"),
        ("select account_id, 1 as n from read_parquet('x.parquet')", "table function read_parquet is not allowed"),
        ("select account_id, 1 as n from query_table('x')", "table function query_table is not allowed"),
        ("select * from 'x.parquet'", "relation x.parquet is unknown"),
        ("select * from duckdb_tables", "relation duckdb_tables is unknown"),
        ("select * from rows where $as_off > as_of", "parameter $as_off is unknown (did you mean $as_of?)"),
        ("select * from rows where as_of = ?", "parameter $1 is unknown"),
        ("select current_date - 1 from rows", "current_date is not allowed"),
        ("select now() from rows", "now is not allowed: a query answers the same at any time; the date is $as_of"),
        ("select age(as_of) from rows", "age is not allowed"),
        ("select RANDOM() from rows", "is not allowed"),
        ("select * from rows where account_id in (select uuid() from rows)", "uuid is not allowed"),
        ("select * from rows tablesample 10%", "a sample differs from run to run"),
        ("select 1; select 2", "2 statements found; a family has one query"),
        ("drop table rows", "Only SELECT statements"),
        ("selec 1", "syntax error at or near"),
        ("select * from (show tables)", "show and describe tell of the engine"),
    ],
)
def test_a_query_that_could_see_more_is_refused_when_it_is_read(query, message):
    with pytest.raises(UsageError) as error:
        asked(query)
    assert message in str(error.value)
    assert str(error.value).startswith("features/own.yml: query: ")


def test_every_function_of_the_engine_that_is_not_consistent_is_refused():
    with duckdb.connect() as connection:
        found = connection.execute(
            "select distinct function_name from duckdb_functions() where stability <> 'CONSISTENT' "
            "and function_type = 'scalar'"
        ).fetchall()
    assert {name for (name,) in found} <= REFUSED_FUNCTIONS


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"select {KEYS} from rows", "column n is missing"),
        (f"select {KEYS}, 1 as N_ from rows", "column n is missing (did you mean N_?)"),
        ("select rows.account_id, 1 as n from rows", "column as_of is missing"),
        (f"select {KEYS}, 1 as n, 2 as m from rows", "column m is not declared, once, in features/own.yml"),
        (f"select {KEYS}, 1 as n from rows, range(2)", "A as of 2026-01-10 comes 2 times; one row each"),
        ("select 'Z' as account_id, as_of, 1 as n from rows", "1 rows were not asked for (first: Z as of 2026-01-10)"),
        ("select account_id, as_of + 1 as as_of, 1 as n from rows", "(first: A as of 2026-01-11); select from rows"),
        (f"select {KEYS}, 'x' as n from rows", "n is no number; cast it to double, or say unit: category"),
        (f"select {KEYS}, as_of as n from rows", "n is no number"),
        ("select account_id, as_fo, 1 as n from rows", "(did you mean as_of?)"),
        (f"select {KEYS}, t.priorty as n from rows, tickets as t", "(did you mean priority?)"),
    ],
)
def test_a_result_without_the_declared_columns_and_grain_stops_the_run(query, message):
    facts = company(account("A"), ticket("t1", "2026-01-01 09:00"))
    with pytest.raises(UsageError) as error:
        build(facts, asked(query), as_ofs=["2026-01-10"])
    assert message in str(error.value)
    assert str(error.value).startswith("features/own.yml: query: ")
    assert "\n" not in str(error.value)


def test_a_category_is_a_text():
    family = asked(f"select {KEYS}, 1 as n from rows", n={"unit": "category"})
    with pytest.raises(UsageError, match="n is a number; cast it to varchar"):
        build(company(account("A")), family, as_ofs=["2026-01-10"])


DECLARED = "columns:\n  n: {unit: rows, missing: unknown, direction: none, reason: none}\n"


def write(folder: Path, text: str, sql: str | None = None) -> Path:
    (folder / "own.yml").write_text(f"family: own\ngrain: account\n{text}", encoding="utf-8")
    if sql is not None:
        (folder / "own.sql").write_text(sql, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "sql", "message"),
    [
        (f"sql: onw.sql\n{DECLARED}", "select 1", "features/own.yml: sql: onw.sql not found"),
        (f"sql: onw.sql\n{DECLARED}", "select 1", "(did you mean own.sql?)"),
        (f"sql: own.sql\n{DECLARED}", "select 1 from usge", "features/own.sql: relation usge is unknown (did you mean"),
        (f"sql: ../own.sql\n{DECLARED}", None, "features/own.yml: sql: "),
        (f"sql: own.sql\nquery: select 1\n{DECLARED}", "select 1", "sql and query: give the one or the other"),
        (DECLARED, None, "columns: belong to a query"),
        ("query: select 1\n", None, "columns: missing; declare each column the query computes"),
        (f"qurey: select 1\n{DECLARED}", None, "qurey: unknown key (did you mean query?)"),
        ("", "select 1", "features/own.sql: no family reads it"),
        (
            "query: select 1\ncolumns:\n  n: {unit: x, missing: x, direction: none, reason: none, needs: [usge]}\n",
            None,
            "columns.n.needs: needs: usge is unknown (did you mean usage?)",
        ),
        (
            "query: select 1\ncolumns:\n  n: {unit: x, missing: x, direction: none, reason: none}\n"
            "derived:\n  n: {value: n + 1, unit: x, missing: x, direction: none, reason: none}\n",
            None,
            "n is declared twice",
        ),
    ],
)  # fmt: skip
def test_a_fault_in_a_file_stops_the_run_with_file_key_and_closest_match(tmp_path, text, sql, message):
    with pytest.raises(UsageError) as error:
        load_families(write(tmp_path, text, sql))
    assert message in str(error.value)


def test_the_text_of_the_query_is_part_of_the_fingerprint_and_its_words_are_not(tmp_path):
    first = load_families(write(tmp_path, f"sql: own.sql\n{DECLARED}", "select 1"))[0].fingerprint
    assert load_families(write(tmp_path, f"sql: own.sql\n{DECLARED}", "select 2"))[0].fingerprint != first
    reworded = DECLARED.replace("unknown", "not known")
    assert load_families(write(tmp_path, f"sql: own.sql\n{reworded}", "select 1"))[0].fingerprint == first


def test_a_derived_signal_may_build_on_a_query(tmp_path):
    twice = "derived:\n  twice: {value: 2 * n, unit: x, missing: x, direction: none, reason: none}\n"
    families = load_families(write(tmp_path, f"sql: own.sql\n{DECLARED}{twice}", f"select {KEYS}, 21 as n from rows"))
    tables = build(company(account("A")), *families, as_ofs=["2026-01-10"])
    assert value(tables, "own_twice", "2026-01-10") == 42.0
    assert [c.name for c in feature_columns(families)] == ["own_n", "own_twice"]


def test_a_query_is_audited_like_the_rest():
    """The careless form of the query reads what a closing row says of the future; by construction it cannot."""
    facts = company(
        account("A"),
        subscription("A", "crm", "2025-01-01", "2026-03-01", known_at="2025-01-01 09:00"),
        subscription("A", "crm", "2025-01-01", "2026-02-01", known_at="2026-01-20 09:00"),
        opportunity("o1", "A", "chat", "2026-01-01", closed_on="2026-01-25", result="won"),
    )
    family = asked(
        f"select {KEYS}, coalesce(max(s.end_on - rows.as_of), -1) + count(o.result) + max(epoch(s.known_at)) as n "
        "from rows left join subscriptions as s using (account_id) left join opportunities as o using (account_id) "
        "group by all"
    )
    spine = spine_of(["A"], ["2026-01-10"])
    pairs = pairs_of(spine, ["crm", "chat"], {"A": ["crm"]})
    report = audit(facts, catalog("crm", "chat"), (family,), spine, pairs, dt.date(2026, 1, 10))
    assert report.passed, report.render()


def test_the_shipped_query_by_hand():
    """Two owned products; for desk the anchor is crm (primary), for data it is the dearer one, chat."""
    near, far = ({"icp_overlap": "high", "workflow_integration": level} for level in ("high", "low"))
    products = catalog(
        "crm", "chat", "desk", "data",
        crm={"core_features": ["a", "b", "c", "d"]},
        desk={"adjacency": {"crm": near, "chat": far}},
    )  # fmt: skip
    usage = {"account_id": "A", "product_id": "crm"}
    facts = company(
        account("A"),
        subscription("A", "crm", "2025-01-01", seats=10, arr_usd=100.0),
        subscription("A", "chat", "2025-07-01", seats=5, arr_usd=900.0),
        *[("usage", usage | {"date": day, "active_users": users})
          for day, users in (("2025-12-31", 9.0), ("2026-01-04", 4.0), ("2026-01-12", 6.0), ("2026-01-31", 2.0))],
        *[("feature_usage", usage | {"feature": name, "date": "2026-01-20", "uses": uses})
          for name, uses in (("a", 3.0), ("b", 1.0), ("c", 0.0), ("other", 5.0))],
        ("health", {"account_id": "A", "date": "2026-01-05", "score": 50.0}),
        ("health", {"account_id": "A", "date": "2026-01-05", "score": 70.0, "product_id": "crm"}),
        ("health", {"account_id": "A", "date": "2026-01-09", "score": 80.0, "product_id": "crm"}),
    )  # fmt: skip
    anchor = tuple(f for f in load_families(ROOT / "features") if f.family == "anchor")
    spine = spine_of(["A", "B"], ["2026-02-01"])
    pairs = pairs_of(spine, products.product_ids, {"A": ["crm", "chat"]})
    tables = build_features(facts, products, anchor, spine, pairs)
    row = tables.pair.set_index(["account_id", "product_id"])
    # 28 days from 2026-01-04: users 4, 6 and 2 of 10 seats; weeks back 0 (31st), 2 (12th) and 3 (4th).
    assert row.loc[("A", "desk")].drop("as_of").to_dict() == {
        "anchor_quadrant": "primary",
        "anchor_health": 80.0,
        "anchor_seats_used_share": (4 + 6 + 2) / 3 / 10,
        "anchor_active_weeks": 3.0,
        "anchor_core_adoption_share": 2 / 4,
        "anchor_tenure_days": 396.0,
    }
    other = row.loc[("A", "data")]
    assert (other["anchor_quadrant"], other["anchor_health"]) == ("not_in_catalogue", 50.0)
    assert other[["anchor_seats_used_share", "anchor_active_weeks", "anchor_core_adoption_share"]].isna().all()
    assert other["anchor_tenure_days"] == 215.0
    assert row.loc[("B", "desk")].drop("as_of").isna().all()


def test_tables_read_names_what_a_cache_depends_on():
    anchor = next(f for f in load_families(ROOT / "features") if f.family == "anchor")
    assert tables_read(str(anchor.query)) == (
        "adjacency", "feature_usage", "health", "owned", "products", "rows", "subscriptions", "usage",
    )  # fmt: skip


def test_the_example_of_the_documentation_runs(tmp_path):
    section = (ROOT / "docs" / "features.md").read_text("utf-8").split("## A query\n")[1]
    (tmp_path / "effort.yml").write_text(section.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    tickets = [
        ticket(f"t{k}", "2026-01-05 09:00", product_id=product) for k, product in enumerate(["crm", "crm", "chat"])
    ]
    tables = build(company(account("A"), *tickets), *load_families(tmp_path), as_ofs=["2026-01-06", "2026-04-06"])
    assert [value(tables, "effort_products_with_tickets", day) for day in ("2026-01-06", "2026-04-06")] == [2.0, 0.0]
