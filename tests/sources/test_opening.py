"""Raw tables are read exactly as written, and a query of the settings reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from product_affinity.contracts.facts import open_engine
from product_affinity.errors import ContractError, UsageError
from product_affinity.sources import RawTables, open_sources
from product_affinity.sources.opening import load_csv


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_engine(threads=1)
    yield connection
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def opened(engine: duckdb.DuckDBPyConnection, path: Path) -> RawTables:
    workspace = path.parent / "workspace"
    workspace.mkdir()
    return open_sources(engine, path, workspace)


def read_csv(engine: duckdb.DuckDBPyConnection, folder: Path, content: bytes) -> list[tuple[object, ...]]:
    (folder / "t.csv").write_bytes(content)
    table = opened(engine, folder).tables["t"]
    load_csv(engine, table)
    return engine.execute(f"from {table.numbered} order by _row").fetchall()


def test_cells_stay_as_written_and_only_empty_ones_are_missing(engine, folder):
    text = '\ufeffid,name\n00012,NA\n1E5,null\n=1+1,"a ""b"", c"\n😀,\n" x ",""\n"two\nlines",' + "x" * 5000 + "\n"
    assert read_csv(engine, folder, text.encode()) == [
        (1, "00012", "NA"),
        (2, "1E5", "null"),
        (3, "=1+1", 'a "b", c'),
        (4, "😀", None),
        (5, " x ", None),
        (6, "two\nlines", "x" * 5000),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(engine, folder, delimiter):
    text = f'id{delimiter}"a,b;c|d"{delimiter}x\r\n1{delimiter}2{delimiter}3\r\n'
    assert read_csv(engine, folder, text.encode()) == [(1, "1", "2", "3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,name\n1,ok\n2,caf\xe9\n", "t.csv: line 3: .*utf-8"),
        (b"id,name\n1,ok\n2,a,b\n", "t.csv: line 3: Expected Number of Columns: 2 Found: 3"),
        (b"id,na\xe9me\n1,ok\n", "t.csv:1: not UTF-8"),
        (b"", "t.csv: empty file"),
        (b"id,,x\n1,2,3\n", "t.csv:1: column 2 has no name"),
        (b"id,Name,name\n1,2,3\n", "t.csv:1: column Name appears twice"),
    ],
)
def test_an_unreadable_csv_names_file_and_line(engine, folder, content, message):
    with pytest.raises(ContractError, match=message) as raised:
        read_csv(engine, folder, content)
    assert "\n" not in str(raised.value)


def test_two_files_for_one_table_are_both_named(engine, folder):
    (folder / "usage.csv").write_text("a\n1\n")
    pd.DataFrame({"a": [1]}).to_parquet(folder / "usage.parquet")
    with pytest.raises(ContractError, match=r"usage\.csv and usage\.parquet both give table usage"):
        opened(engine, folder)


def test_sub_folders_and_other_files_are_not_read(engine, folder):
    (folder / "old").mkdir()
    (folder / "old" / "accounts.csv").write_text("a\n1\n")
    (folder / "notes.txt").write_text("hello")
    (folder / "b.CSV").write_text("a\n1\n")
    assert set(opened(engine, folder).tables) == {"b"}


def test_parquet_rows_are_numbered_and_a_broken_file_is_named(engine, folder):
    pd.DataFrame({"a": ["x", "y"]}).to_parquet(folder / "t.parquet")
    table = opened(engine, folder).tables["t"]
    assert engine.execute(f"from {table.numbered} order by _row").fetchall() == [(1, "x"), (2, "y")]
    assert table.types == {"a": "VARCHAR"}


def test_columns_named_like_row_numbers_are_columns(engine, folder):
    frame = pd.DataFrame({"file_row_number": range(70, 80), "rowid": range(50, 60)})
    frame.to_parquet(folder / "p.parquet")
    frame.to_csv(folder / "c.csv", index=False)
    tables = opened(engine, folder).tables
    load_csv(engine, tables["c"])
    expected = [(number + 1, number + 70, number + 50) for number in range(10)]
    assert engine.execute(f"from {tables['p'].numbered}").fetchall() == expected
    assert engine.execute(f"select columns(*)::bigint from {tables['c'].numbered}").fetchall() == expected


def test_a_stored_column_rowid_is_a_column(engine, tmp_path):
    with duckdb.connect(str(tmp_path / "w.duckdb")) as writer:
        writer.execute("create table t as select 9 as RowId, 'x' as a")
    table = opened(engine, tmp_path / "w.duckdb").tables["t"]
    assert engine.execute(f"from {table.numbered}").fetchall() == [(1, 9, "x")]


def test_a_broken_view_of_a_database_breaks_only_itself(engine, tmp_path):
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as writer:
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "gone.parquet")
        writer.execute(f"create table good as select 1 as a; create view bad as from '{tmp_path / 'gone.parquet'}'")
    (tmp_path / "gone.parquet").unlink()
    tables = opened(engine, path).tables
    assert tables["good"].fault is None
    assert (tables["bad"].fault or "").startswith("w.duckdb: bad: ")
    assert "gone.parquet" in (tables["bad"].fault or "")


def test_a_broken_parquet_file_is_named(engine, folder):
    (folder / "t.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(ContractError, match=r"^t\.parquet: "):
        opened(engine, folder)


def test_a_duckdb_file_is_read_and_never_written(engine, tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as writer:
        writer.execute("create table billing as select 'A-1' as account; create view latest as from billing")
    before = path.read_bytes()
    raw = opened(engine, path)
    assert set(raw.tables) == {"billing", "latest"}
    assert raw.tables["latest"].numbered is None
    assert engine.execute("select account from latest").fetchall() == [("A-1",)]
    with pytest.raises(duckdb.Error, match="read-only"):
        engine.execute("insert into source.main.billing values ('A-2')")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mysql://host/db", "is an address of a kind we cannot read; folders, .duckdb files and postgresql://"),
        ("postgresql:/host/db", "not an address like postgresql://user@host:5432/database"),
        ("nowhere", "nowhere not found"),
        ("data.xlsx", "is no folder and no .duckdb file"),
    ],
)
def test_other_sources_are_refused(engine, tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    Path("data.xlsx").touch()
    with pytest.raises(UsageError, match=message):
        open_sources(engine, path, tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:S3cret@h/db",
        "postgresql://u:S3cret/@:x@h/db",
        "postgresql://u:S3cret/x@h/db",
        "postgresql:u:S3cret@h",
        "postgresql://h/db?user=u&password=S3cret",
        "postgresql://h/db?sslpassword=S3cret",
        "postgresql://u:S3%ret@h/db",
        "postgres://u:S3cret@h/db",
        "host=h password=S3cret",
    ],
)
def test_no_message_holds_a_password(engine, tmp_path, address):
    with pytest.raises(UsageError) as raised:
        open_sources(engine, address, tmp_path)
    assert "S3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "query",
    [
        "from read_csv('/etc/hostname')",
        "from read_text('/etc/hostname')",
        "copy (select 1) to '/tmp/product_affinity_must_not_exist.csv'",
        "attach '/tmp/product_affinity_must_not_exist.duckdb'",
        "set enable_external_access = true",
        "set memory_limit = '1GB'",
        "from secret_frame",
    ],
)
def test_once_open_the_engine_reaches_nothing_else(engine, folder, query):
    secret_frame = pd.DataFrame({"a": [1]})
    opened(engine, folder)
    with pytest.raises(duckdb.Error):
        engine.execute(query)
    assert len(secret_frame) == 1


def test_the_fingerprint_follows_the_content_not_the_time(engine, folder):
    (folder / "a.csv").write_text("x\n1\n")
    (folder / "b.csv").write_text("x\n1\n")
    (folder / "c.csv").write_text("x\n2\n")
    tables = opened(engine, folder).tables
    assert tables["a"].fingerprint == tables["b"].fingerprint != tables["c"].fingerprint


@pytest.mark.parametrize("name", ["it's data", "data [v1]", "données *", "a ? b"])
def test_folders_and_files_may_have_any_name(engine, tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    (path / f"{name}.csv").write_text("a\n1\n")
    pd.DataFrame({"a": ["1"]}).to_parquet(path / "t.parquet")
    (path / "linked.csv").symlink_to(path / f"{name}.csv")
    raw = opened(engine, path)
    for table in (name, "linked", "t"):
        if table != "t":
            load_csv(engine, raw.tables[table])
        assert engine.execute(f"from {raw.tables[table].numbered}").fetchall() == [(1, "1")]
