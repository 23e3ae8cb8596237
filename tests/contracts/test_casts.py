"""Every way a value may be written, and what it then means."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest

from product_affinity.contracts.casts import cast_value, type_family, unusable_format
from product_affinity.contracts.facts import open_engine

ENGINE: duckdb.DuckDBPyConnection = open_engine(threads=1)


def read(kind: str, literal: str, formats: tuple[str, ...] = (), timezone: str = "UTC") -> Any:
    """Read one SQL literal as a value of a kind."""
    engine_type = ENGINE.execute(f"select typeof({literal})").fetchone()[0]
    expression = cast_value(kind, "raw", type_family(engine_type), formats=formats, timezone=timezone)
    return ENGINE.execute(f"select {expression} from (select {literal} as raw)").fetchone()[0]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'00012'", "00012"),
        ("'1E5'", "1E5"),
        ("'NA'", "NA"),
        ("' x '", " x "),
        ("''", None),
        ("12", "12"),
        ("12.0::double", "12"),
        ("12.5::double", "12.5"),
        ("1e300::double", "1e+300"),
    ],
)
def test_ids_stay_as_written(literal, value):
    assert read("id", literal) == value


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'12'", 12),
        ("'12.0'", 12),
        ("' 12 '", 12),
        ("'1.2E1'", 12),
        ("'-3'", -3),
        ("'12.5'", None),
        ("'1,204'", None),
        ("'1_204'", None),
        ("'0x1F'", None),
        ("'twelve'", None),
        ("'nan'", None),
        ("'inf'", None),
        ("12.0::double", 12),
        ("12.5::double", None),
        ("'nan'::double", None),
        ("'inf'::double", None),
        ("12.00::decimal(6,2)", 12),
        ("12::utinyint", 12),
    ],
)
def test_integers(literal, value):
    assert read("integer", literal) == value


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'1.5'", 1.5),
        ("'.5'", 0.5),
        ("'-1e-3'", -0.001),
        ("'1,5'", None),
        ("'$5'", None),
        ("5", 5.0),
        ("true", None),
    ],
)
def test_numbers(literal, value):
    assert read("number", literal) == value


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        *((f"'{text}'", True) for text in ("true", "TRUE", "T", "yes", "Y", "1", " True ")),
        *((f"'{text}'", False) for text in ("false", "FALSE", "f", "No", "n", "0")),
        *((literal, None) for literal in ("'maybe'", "'2'", "2", "0.5::double")),
        *((literal, True) for literal in ("1", "1.0::double", "true")),
        *((literal, False) for literal in ("0", "0.0::double", "false")),
    ],
)
def test_booleans(literal, value):
    assert read("boolean", literal) == value


DAY = dt.date(2026, 2, 3)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'2026-02-03'", DAY),
        ("'2026-02-03 23:59:59'", DAY),
        ("'2026-02-03T23:30:00Z'", dt.date(2026, 2, 4)),
        ("'2026-02-03 01:00+05:00'", dt.date(2026, 2, 2)),
        ("'2026-02-03 01:00 +05:00'", dt.date(2026, 2, 2)),
        ("'2026-02-03 01:00+16:00'", None),
        ("'2026-2-3'", None),
        ("'03-02-2026'", None),
        ("'2026-02-30'", None),
        ("'20260203'", None),
        ("'epoch'", None),
        ("'infinity'", None),
        ("date '2026-02-03'", DAY),
        ("timestamp '2026-02-03 23:30:00'", DAY),
        ("timestamptz '2026-02-03 23:30:00+00'", dt.date(2026, 2, 4)),
        ("20260203", None),
    ],
)
def test_dates_in_berlin(literal, value):
    assert read("date", literal, timezone="Europe/Berlin") == value


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'2026-02-03T10:00:00'", dt.datetime(2026, 2, 3, 10)),
        ("'2026-02-03 10:00'", dt.datetime(2026, 2, 3, 10)),
        ("'2026-02-03T10:00:00.25+0200'", dt.datetime(2026, 2, 3, 8, 0, 0, 250_000)),
        ("'2026-02-03T10:00:00Z'", dt.datetime(2026, 2, 3, 10)),
        ("'2026-02-03'", dt.datetime(2026, 2, 3, 5)),
        ("date '2026-02-03'", dt.datetime(2026, 2, 3, 5)),
        ("timestamp '2026-02-03 10:00:00'", dt.datetime(2026, 2, 3, 10)),
        ("timestamptz '2026-02-03 10:00:00-05'", dt.datetime(2026, 2, 3, 15)),
        ("'2026-02-03 10:00 +02:00'", dt.datetime(2026, 2, 3, 8)),
        ("'2026-02-03 10:00:00 -0530'", dt.datetime(2026, 2, 3, 15, 30)),
        ("'2026-02-03T10:00 Z'", dt.datetime(2026, 2, 3, 10)),
        ("'2026-02-03 10:00+15:59'", dt.datetime(2026, 2, 2, 18, 1)),
        ("'2026-02-03 10:00+16'", None),
        ("'2026-02-03 10:00-99:00'", None),
        ("'2026-02-03 10:00+02:60'", None),
        ("'2026-02-03 25:00'", None),
        ("'yesterday'", None),
    ],
)
def test_timestamps_in_new_york(literal, value):
    """A day without a clock is local midnight there, so that its local day stays what was written."""
    assert read("timestamp", literal, timezone="America/New_York") == value


@pytest.mark.parametrize(
    ("kind", "literal", "value"),
    [
        ("date", "'27-07-2023'", dt.date(2023, 7, 27)),
        ("date", "'07/27/2023'", dt.date(2023, 7, 27)),
        ("date", "20230727", dt.date(2023, 7, 27)),
        ("date", "'2023-07-27'", None),
        ("timestamp", "'27-07-2023 03:00'", dt.datetime(2023, 7, 27, 3)),
        ("timestamp", "'27-07-2023'", dt.datetime(2023, 7, 26, 22)),
        ("timestamp", "'2023-07-27 03:00+02:00'", dt.datetime(2023, 7, 27, 1)),
        ("timestamp", "'2023-07-27'", dt.datetime(2023, 7, 26, 22)),
        ("timestamp", "'2023/07/27'", None),
    ],
)
def test_formats_are_tried_in_order(kind, literal, value):
    formats = ("%d-%m-%Y", "%d-%m-%Y %H:%M", "%m/%d/%Y", "%Y%m%d")
    assert read(kind, literal, formats, timezone="Europe/Berlin") == value


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("%Q", "Unrecognized format"),
        ("%", "Trailing format character"),
        ("%Y-%", "Trailing format character"),
        ("", "empty"),
        (" ", "empty"),
        ("dd.mm.yyyy", "no year"),
        ("100%%", "no year"),
        ("%H:%M", "no year"),
    ],
)
def test_a_format_that_reads_no_date_is_known_as_such(pattern, why):
    assert why in (unusable_format(ENGINE, pattern) or "")


@pytest.mark.parametrize(
    "pattern", ["%d.%m.%y", "%Y", "%b %d, %Y", "%-d/%-m/%Y %-I:%M %p", "%Y-%m-%d %H:%M:%S %z", "%G-W%V-%u", "it's %x"]
)
def test_a_format_that_reads_dates_is_fine(pattern):
    assert unusable_format(ENGINE, pattern) is None


@pytest.mark.parametrize(
    ("engine_type", "family"),
    [
        ("VARCHAR", "text"),
        ("BIGINT", "integer"),
        ("UTINYINT", "integer"),
        ("HUGEINT", "integer"),
        ("DOUBLE[]", "text"),
        ("INTERVAL", "text"),
        ("TIMESTAMP_NS", "timestamp"),
        ("TIMESTAMP WITH TIME ZONE", "instant"),
    ],
)
def test_families(engine_type, family):
    assert type_family(engine_type) == family
