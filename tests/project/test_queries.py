"""What a query reads: a name is its own only where it is in sight, as the engine has it."""

from __future__ import annotations

import duckdb
import pytest

from product_affinity.project.queries import tables_read

OUTSIDE = "/data/usage.parquet"


@pytest.mark.parametrize(
    "query",
    [
        f'select account_id from rows where exists (with "{OUTSIDE}" as (select 1 as x) select x from "{OUTSIDE}") '
        f'and account_id in (from "{OUTSIDE}")',
        f'select (with "{OUTSIDE}" as (select 1 as x) select x from "{OUTSIDE}") as n from "{OUTSIDE}"',
        f'with "{OUTSIDE}" as (from "{OUTSIDE}") from "{OUTSIDE}"',
        f'with a as (from "{OUTSIDE}"), "{OUTSIDE}" as (select 1) from a',
        f'with recursive "{OUTSIDE}" as (from "{OUTSIDE}" union from "{OUTSIDE}") from "{OUTSIDE}"',
        f'(with "{OUTSIDE}" as (select 1) from "{OUTSIDE}") union all from "{OUTSIDE}"',
    ],
    ids=["beside", "around", "by itself", "before", "start of a recursion", "other half of a union"],
)
def test_a_name_given_elsewhere_opens_no_file(query):
    with pytest.raises(ValueError, match=f"relation {OUTSIDE} is unknown"):
        tables_read(query)


@pytest.mark.parametrize("name", ["fe_dates", "duckdb_tables"])
def test_a_name_given_elsewhere_opens_nothing_of_the_engine(name):
    with pytest.raises(ValueError, match=f"relation {name} is unknown"):
        tables_read(f"select (with {name} as (select 1 as x) select x from {name}) as n from {name}")


# What the engine finds under a name is told by the value it gives: 1 is the outer relation's.
_NAMED = [
    ("select x from usage where x in (with usage as (select 1 as x) from usage)", ("usage",)),
    ("with usage as (select x from usage) select x from usage", ("usage",)),
    ("with usage as (select 2 as x) select x from Usage", ()),
    ("with a as (from usage), usage as (select 2 as x) from a", ("usage",)),
    ("with usage as (select 2 as x), a as (from usage) from a", ()),
    ("with recursive n as (select 2 as x union select x + 1 from n where x < 2) select min(x) from n", ()),
    ("with recursive usage as (from usage union select x from usage) from usage", ("usage",)),
    ("with a as (with usage as (select 2 as x) from usage) select least(a.x, usage.x) from a, usage", ("usage",)),
    ("with usage as (select 2 as x) select (select x from usage) from (select 3)", ()),
    ("with usage as (select 2 as x) (from usage union all from usage) order by all limit 1", ()),
]


@pytest.mark.parametrize(("query", "read"), _NAMED)
def test_a_relation_is_read_where_the_engine_reads_it(query, read):
    assert tables_read(query) == read
    with duckdb.connect() as connection:
        found = connection.execute(f"with usage as (select 1 as x) select * from ({query}) as computed").fetchall()
    assert found == [(1,) if read else (2,)]
