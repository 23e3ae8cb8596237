"""Write frames to files: Parquet for machines, CSV that a spreadsheet opens without harm for people."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# Control characters end rows (a lone carriage return), bidirectional marks reverse what a reader sees.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]+")
_DECIMALS = {"propensity": 4}
_FORMULA_STARTS = ("=", "+", "-", "−", "@")


def clean_text(text: str) -> str:
    r"""Replace runs of control and direction characters by one space.

    >>> clean_text("Acme\r\nLtd")
    'Acme Ltd'
    """
    return _UNPRINTABLE.sub(" ", text)


def guard_cell(text: str) -> str:
    """Return text a spreadsheet shows and never runs: a cell that starts like a formula gets a leading quote.

    >>> guard_cell("=1+1"), guard_cell("NA")
    ("'=1+1", 'NA')
    """
    cleaned = clean_text(text)
    return f"'{cleaned}" if cleaned.lstrip().startswith(_FORMULA_STARTS) else cleaned


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as Parquet; equal frames give equal bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def write_people_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as CSV for a spreadsheet: UTF-8 with BOM, text cells guarded, numbers rounded."""
    numbers = frame.select_dtypes("number").columns
    shown = frame.round({name: _DECIMALS.get(name, 2) for name in numbers})
    for name in shown.columns:
        if not pd.api.types.is_numeric_dtype(shown[name].dtype):
            shown[name] = shown[name].map(lambda cell: guard_cell(cell) if isinstance(cell, str) else cell)
    shown.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")
