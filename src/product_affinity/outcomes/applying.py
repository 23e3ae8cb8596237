"""Apply a returned file: matched, judged, recorded once, reported."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from product_affinity.outcomes.matching import match_rows
from product_affinity.outcomes.ordering import APPLIED, REJECTED, Verdict, judge_answers
from product_affinity.outcomes.published import read_published
from product_affinity.outcomes.report import Line, OutcomeReport
from product_affinity.outcomes.returned import ReturnedFile, ReturnedRow
from product_affinity.outcomes.store import (
    FILES,
    FOLDER_MODE,
    append,
    log_file,
    read_log,
    recorded_of,
    write_rejected,
)
from product_affinity.registry.lock import sole_writer


def apply_outcomes(
    file: ReturnedFile,
    var: Path,
    *,
    owner_key: Callable[[str | None], str],
    timezone: str,
    received_at: dt.datetime,
    noted_at: dt.datetime | None = None,
) -> OutcomeReport:
    """Record what a file says of published plays, each word once, and report on every row.

    Parameters
    ----------
    file : from `read_workbook`, `read_opportunity_csv` or `read_outcome_csv`.
    var : folder of everything generated; reads ``lists``, writes ``outcomes``.
    owner_key : gives the key under which an owner's rows were published.
    timezone : IANA zone of the project.
    received_at : when the file came in, with a zone; no as-of date before it sees the rows.
    noted_at : when rows without a date of their own were noted, with a zone; default `received_at`.

    Raises
    ------
    UsageError : nothing is published.
    ContractError : a published list was altered, or the log of outcomes is damaged.
    LockedError : another process is recording outcomes.
    """
    received = _as_utc(received_at)
    noted = received if noted_at is None else _as_utc(noted_at)
    folder = var / "outcomes"
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    with sole_writer(folder / "outcomes.lock"):
        ids = {row.play_id for row in file.rows if row.play_id is not None}
        pairs = {(row.account_id or "", row.product_id or "") for row in file.rows if row.play_id is None}
        published = read_published(var / "lists", owner_key, play_ids=ids, pairs=pairs)
        answers, rejected = match_rows(file, published, timezone=timezone, noted_at=noted, received_at=received)
        log = read_log(folder)
        verdicts = judge_answers(file, answers, recorded_of(log, answers))
        refused = [*rejected, *((verdict.answer.row, verdict.why) for verdict in verdicts if verdict.fate == REJECTED)]
        seen = _was_read(folder, file.sha256)
        kept = write_rejected(folder, file, refused)
        append(folder, log, file, [verdict.answer for verdict in verdicts if verdict.fate == APPLIED], received)
        report = _report(file, rejected, verdicts, seen, None if kept is None else str(kept.relative_to(folder)))
        entry = {"sha256": file.sha256, "name": file.name, "kind": file.kind, "received_at": f"{received}Z"}
        log_file(folder, {**entry, **report.counts()})
    return report


def _report(
    file: ReturnedFile,
    rejected: Sequence[tuple[ReturnedRow, str]],
    verdicts: Sequence[Verdict],
    seen: bool,
    kept: str | None,
) -> OutcomeReport:
    fates = {id(row): (REJECTED, why) for row, why in rejected}
    fates |= {id(verdict.answer.row): (verdict.fate, verdict.why) for verdict in verdicts}
    lines = tuple(
        Line(row.place, fate, row.play_id, row.account_id, row.product_id, row.status, why)
        for row in file.rows
        for fate, why in (fates[id(row)],)
    )
    return OutcomeReport(file.name, file.sha256, file.kind, file.owner_key, lines, file.blank, seen, kept)


def _was_read(folder: Path, sha256: str) -> bool:
    path = folder / FILES
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return any(json.loads(line)["sha256"] == sha256 for line in lines)


def _as_utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
