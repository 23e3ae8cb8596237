"""A night brings the warehouse table to the state of the list it published."""

from __future__ import annotations

import pandas as pd
import pytest

import tests.postgres
from product_affinity.errors import RefusedError

postgres = tests.postgres.postgres
psycopg = pytest.importorskip("psycopg")


def with_warehouse(demo, folder, uri):
    copy = demo.copy(folder)
    settings = copy.root / "affinity.toml"
    settings.write_text(settings.read_text() + f'\n[warehouse]\nuri = "{uri}"\ntable = "crm.plays"\n')
    return copy


def test_the_table_holds_the_published_plays_and_a_rerun_touches_nothing(demo, tmp_path, postgres, monkeypatch):
    uri = postgres.uri
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("create schema if not exists crm")
    copy = with_warehouse(demo, tmp_path, uri)
    worklist = pd.read_parquet(demo.lists / "worklist.parquet")
    assert f"{len(worklist):,} inserted" in copy.nightly()
    with psycopg.connect(uri) as connection:
        rows = connection.execute("select account_id, product_id from crm.plays where is_active").fetchall()
    assert sorted(rows) == sorted(map(tuple, worklist[["account_id", "product_id"]].to_numpy().tolist()))
    assert f"0 inserted, 0 updated, {len(worklist):,} unchanged, 0 deactivated" in copy.nightly()


def test_a_warehouse_that_refuses_leaves_the_list_published_and_says_so(demo, tmp_path):
    copy = with_warehouse(demo, tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    (copy.root / "var" / "lists" / "current").unlink()
    with pytest.raises(RefusedError, match=r"is published, but warehouse table crm\.plays"):
        copy.nightly()
    assert (copy.root / "var" / "lists" / "current" / "_SUCCESS").exists()
