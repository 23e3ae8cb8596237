"""Write frames to files: Parquet for machines, CSV that a spreadsheet opens without harm for people."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# Control characters end rows (a lone carriage return), bidirectional marks reverse what a reader sees, zero-width
# ones hide how a cell starts, surrogates and non-characters are no valid XML or UTF-8.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+"
)
_DECIMALS = {"propensity": 4}
# The last four are the full-width forms that East Asian spreadsheets take for the ASCII ones.
_FORMULA_STARTS = ("=", "+", "-", "−", "@", "＝", "＋", "－", "＠")
CELL_LIMIT = 32_767  # characters a spreadsheet keeps in a cell


def clean_text(text: str) -> str:
    r"""Replace runs of control and direction characters by one space.

    >>> clean_text("Acme\r\nLtd")
    'Acme Ltd'
    """
    # what Python calls printable holds none of them, and asking is much quicker than searching
    return text if text.isprintable() else _UNPRINTABLE.sub(" ", text)


def clean_lines(text: str) -> str:
    r"""Clean each line of a text that is shown on several lines.

    >>> clean_lines("first\nsec\tond\r")
    'first\nsec ond '
    """
    return text if text.isprintable() else "\n".join(clean_text(line) for line in text.split("\n"))


def cut_text(text: str, limit: int) -> str:
    """Return `text` with at most `limit` UTF-16 units, as spreadsheets and CRMs count; a cut ends in an ellipsis.

    >>> cut_text("Acme", 4), cut_text("Acme Ltd", 4), len(cut_text("🚀" * 9, 5))
    ('Acme', 'Acm…', 3)
    """
    if 2 * len(text) <= limit:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * limit:
        return text
    return units[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + "…"


def guard_cell(text: str) -> str:
    """Return text a spreadsheet shows and never runs: a cell that starts like a formula gets a leading quote.

    >>> guard_cell("=1+1"), guard_cell("NA")
    ("'=1+1", 'NA')
    """
    cleaned = clean_text(text)
    guarded = f"'{cleaned}" if cleaned.lstrip().startswith(_FORMULA_STARTS) else cleaned
    return cut_text(guarded, CELL_LIMIT)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as Parquet, texts as they are; equal frames give equal bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd")


def write_people_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as CSV for a spreadsheet: UTF-8 with BOM, text cells guarded, numbers rounded."""
    _write_shown(_shown(frame), path)


def write_parts(frame: pd.DataFrame, keys: pd.Series, folder: Path, read: pd.DataFrame) -> None:
    """Write a new `folder` with the rows of each key as `<key>.parquet` and `<key>.csv`; keys are safe file names.

    Parameters
    ----------
    frame, keys : rows for machines, and the part each belongs to.
    folder : made new.
    read : the same rows in the same order as people read them.
    """
    folder.mkdir()
    shown = _shown(read)
    for key, places in sorted(frame.groupby(keys).indices.items()):
        write_parquet(frame.iloc[places], folder / f"{key}.parquet")
        _write_shown(shown.iloc[places], folder / f"{key}.csv")


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.select_dtypes("number").columns
    shown = frame.round({name: _DECIMALS.get(name, 2) for name in numbers})
    for name in shown.columns:
        if not pd.api.types.is_numeric_dtype(shown[name].dtype):
            shown[name] = shown[name].map(lambda cell: guard_cell(cell) if isinstance(cell, str) else cell)
    return shown


def _write_shown(shown: pd.DataFrame, path: Path) -> None:
    shown.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")
