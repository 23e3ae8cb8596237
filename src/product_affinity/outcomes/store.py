"""The log of outcomes that came back: rows are only ever added, and the file is replaced whole.

``var/outcomes/outcomes.parquet`` holds the columns of the source table `outcomes` and where each row came from,
``files.jsonl`` every file that was read, ``rejected/<sha256>.parquet`` what could not be used of it and why.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from product_affinity.errors import ContractError
from product_affinity.outcomes.matching import Answer
from product_affinity.outcomes.ordering import Recorded
from product_affinity.outcomes.returned import ReturnedFile, ReturnedRow
from product_affinity.storage import sync

OUTCOMES, FILES, REJECTED_FOLDER = "outcomes.parquet", "files.jsonl", "rejected"
FOLDER_MODE, FILE_MODE = 0o750, 0o640
SCHEMA = pa.schema(
    [
        ("play_id", pa.string()),
        ("account_id", pa.string()),
        ("product_id", pa.string()),
        ("as_of", pa.date32()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("note", pa.string()),
        ("noted_at", pa.timestamp("us")),
        ("noted_by", pa.string()),
        ("arr_usd", pa.float64()),
        ("follow_up_on", pa.date32()),
        ("known_at", pa.timestamp("us")),
        ("source", pa.string()),
        ("owner_key", pa.string()),
        ("file_sha256", pa.string()),
        ("place", pa.string()),
    ]
)
_REJECTED_COLUMNS = ("place", "play_id", "account_id", "product_id", "owner_key", "status", "reason", "note")
_REJECTED_SCHEMA = pa.schema([(name, pa.string()) for name in (*_REJECTED_COLUMNS, "why")])


def read_log(folder: Path) -> pa.Table:
    """Return everything recorded under `var/outcomes`, empty where nothing ever came back.

    Raises
    ------
    ContractError : the log is damaged.
    """
    path = folder / OUTCOMES
    if not path.exists():
        return SCHEMA.empty_table()
    try:
        return pq.read_table(path, schema=SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise ContractError(
            f"{path}: damaged ({type(error).__name__}). Restore it from a backup: what teams told us is nowhere else."
        ) from None


def recorded_of(log: pa.Table, answers: Sequence[Answer]) -> dict[tuple[str, ...], list[Recorded]]:
    """Return what is recorded of the plays of some answers, by `Answer.key`, each in order of noted_at."""
    keys = {answer.key for answer in answers}
    accounts = pa.array(sorted({answer.play.account_id for answer in answers}), pa.string())
    found: dict[tuple[str, ...], list[Recorded]] = {}
    for row in log.filter(pc.is_in(log["account_id"], accounts)).to_pylist():
        play_id, pair = row["play_id"], (row["account_id"], row["product_id"])
        key = pair if play_id is None else (play_id,)
        if key in keys:
            content = (row["status"], row["reason"] or "", row["note"] or "", row["arr_usd"], row["follow_up_on"])
            found.setdefault(key, []).append(Recorded(content, row["noted_at"], row["source"], row["owner_key"]))
    for history in found.values():
        history.sort(key=lambda past: past.noted_at)
    return found


def append(folder: Path, log: pa.Table, file: ReturnedFile, applied: Sequence[Answer], known_at: dt.datetime) -> None:
    """Add applied answers to the log; readers see the old log or the new one, whole.

    Parameters
    ----------
    folder : `var/outcomes`; the caller holds its lock.
    log : from `read_log`.
    file : where the answers came from.
    applied : the answers, in order of the file.
    known_at : when the file came, UTC without a zone: no earlier as-of date may see the rows.
    """
    rows = [_row(file, answer, known_at) for answer in sorted(applied, key=lambda answer: answer.noted_at)]
    if rows:
        _write_table(folder / OUTCOMES, pa.concat_tables([log, pa.Table.from_pylist(rows, schema=SCHEMA)]))


def write_rejected(folder: Path, file: ReturnedFile, rows: Sequence[tuple[ReturnedRow, str]]) -> Path | None:
    """Write the rows of a file that could not be used, each with the reason; None where there are none."""
    if not rows:
        return None
    content = [{**{name: getattr(row, name) for name in _REJECTED_COLUMNS}, "why": why} for row, why in rows]
    path = folder / REJECTED_FOLDER / f"{file.sha256[:16]}.parquet"
    path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
    _write_table(path, pa.Table.from_pylist(content, schema=_REJECTED_SCHEMA))
    return path


def log_file(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add a line to the list of files that were read."""
    path = folder / FILES
    before = path.read_text("utf-8") if path.exists() else ""
    line = json.dumps(entry, sort_keys=True, ensure_ascii=False)
    _replace(path, f"{before}{line}\n".encode("utf-8", "replace"))


def _row(file: ReturnedFile, answer: Answer, known_at: dt.datetime) -> dict[str, object]:
    row, play = answer.row, answer.play
    return {
        "play_id": play.play_id,
        "account_id": play.account_id,
        "product_id": play.product_id,
        "as_of": play.listed_on,
        "status": row.status,
        "reason": row.reason or None,
        "note": row.note or None,
        "noted_at": answer.noted_at,
        "noted_by": row.noted_by or file.owner_key,
        "arr_usd": row.arr_usd,
        "follow_up_on": row.follow_up_on,
        "known_at": known_at,
        "source": file.kind,
        "owner_key": file.owner_key,
        "file_sha256": file.sha256,
        "place": row.place,
    }


def _write_table(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    _replace(path, sink.getvalue().to_pybytes())


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)
