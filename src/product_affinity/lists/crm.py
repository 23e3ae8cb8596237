"""Files a CRM imports: Salesforce (Bulk API 2.0, Data Loader) and HubSpot, within their limits.

The key of a row is the play_id: importing a file twice changes nothing, and an episode is one record. Cells are
never formula-guarded, a leading quote would corrupt the CRM; only control characters are taken out.

Limits. Salesforce: UTF-8 without BOM, LF, field API names in row 1, one object a file, ≤ 100 MB, ≤ 32,000 characters a
field, an empty cell is ignored and `#N/A` clears a field. HubSpot: UTF-8, header row, < 1,000 columns, ≤ 1,048,576
rows, an empty cell is ignored.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from product_affinity.lists.privacy import mark_internal, withhold_statement
from product_affinity.lists.sheets import is_unknown
from product_affinity.lists.writers import clean_text, cut_text

Kind = Literal["text", "number", "percent", "date"]
FIELD_LIMIT, NAME_LIMIT, TEXT_LIMIT = 32_000, 80, 255
FILE_BYTES, FILE_ROWS = 100_000_000, 1_048_576
CLEARED = "#N/A"
HUBSPOT_NONE = "none"
PIPELINE = "Cross-sell plays"
_SALESFORCE_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?", re.ASCII)
_HUBSPOT_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_STAGES = {
    "accepted": "Accepted",
    "contacted": "Contacted",
    "meeting": "Meeting",
    "not_now": "Not now",
    "not_a_fit": "Not a fit",
    "won": "Won",
    "lost": "Lost",
}
# A play somebody works on, or that only changed hands, goes on: its record must not be switched off.
_GOES_ON = frozenset(("in_flight", "owner_changed"))


@dataclass(frozen=True)
class Field:
    """One field of the target object.

    Attributes
    ----------
    header : what the CRM knows it by.
    source : column it comes from.
    kind : how the value is written.
    limit : characters the field holds.
    clears : whether an unknown value empties the field in the CRM; else the CRM keeps what it has.
    """

    header: str
    source: str
    kind: Kind = "text"
    limit: int = TEXT_LIMIT
    clears: bool = True


_SHARED: tuple[tuple[str, str, str, Kind, int], ...] = (
    ("Play_Type__c", "Play type", "play_type", "text", TEXT_LIMIT),
    ("Rank__c", "Rank", "rank", "number", TEXT_LIMIT),
    ("Propensity__c", "Chance (%)", "propensity", "percent", TEXT_LIMIT),
    ("Expected_ARR__c", "ARR if bought", "expected_arr_usd", "number", TEXT_LIMIT),
    ("Value__c", "Worth", "value_usd", "number", TEXT_LIMIT),
    ("Tier__c", "Tier", "tier", "number", TEXT_LIMIT),
    ("Why__c", "Why", "why", "text", FIELD_LIMIT),
    ("Why_Now__c", "Why now", "why_now", "text", FIELD_LIMIT),
    ("Careful__c", "Careful", "caution", "text", FIELD_LIMIT),
    ("Stakeholder_Role__c", "Stakeholder role", "stakeholder_role", "text", TEXT_LIMIT),
    ("Next_Step__c", "Next step", "next_step", "text", FIELD_LIMIT),
    ("Route__c", "Route", "route", "text", TEXT_LIMIT),
    ("Best_By__c", "Best by", "best_by", "date", TEXT_LIMIT),
    ("Talk_Track__c", "Talk track", "talk_track", "text", FIELD_LIMIT),
)
_PROBLEM = ("Problem__c", "Problem", "problem_statement", "text", FIELD_LIMIT)
SALESFORCE_FIELDS = (
    Field("Play_Id__c", "play_id", clears=False),
    Field("Name", "record_name", limit=NAME_LIMIT, clears=False),
    Field("Account__c", "salesforce_id", clears=False),
    Field("Account_Key__c", "account_id", clears=False),
    Field("Product_Key__c", "product_id", clears=False),
    Field("Product_Name__c", "product_name", clears=False),
    Field("Owner_Key__c", "owner_id"),
    Field("Is_Active__c", "is_active", clears=False),
    Field("As_Of__c", "as_of", "date", clears=False),
    Field("Status__c", "status", clears=False),
    Field("Gone_Why__c", "gone_why"),
    *(Field(header, source, kind, limit) for header, _, source, kind, limit in _SHARED),
)
HUBSPOT_FIELDS = (
    Field("Play ID", "play_id", clears=False),
    Field("Deal name", "record_name", clears=False),
    Field("Pipeline", "pipeline", clears=False),
    Field("Deal stage", "stage", clears=False),
    Field("Company record ID", "hubspot_id", clears=False),
    Field("Account key", "account_id", clears=False),
    Field("Product key", "product_id", clears=False),
    Field("Product name", "product_name", clears=False),
    Field("Owner key", "owner_id"),
    Field("As of", "as_of", "date", clears=False),
    Field("Gone because", "gone_why"),
    *(Field(header, source, kind, limit) for _, header, source, kind, limit in _SHARED),
)


def write_crm_files(
    folder: Path,
    plays: pd.DataFrame,
    gone: pd.DataFrame,
    *,
    problem_text: bool,
    file_bytes: int = FILE_BYTES,
    file_rows: int = FILE_ROWS,
) -> dict[str, dict[str, int]]:
    """Write `salesforce.csv` and `hubspot.csv` into `folder`, continued in `-2`, `-3`, … beyond a vendor's limit.

    Parameters
    ----------
    folder : where the files go; made here.
    plays : from `build_worklist`.
    gone : from `find_gone`; plays that ended are switched off.
    problem_text : whether the problem's statement may be in the files; else also texts that quote it lose it.
    file_bytes, file_rows : limits of one file, header included.

    Returns
    -------
    dict
        By vendor: `rows`, `files`, and `without_crm_id`, active rows whose crm_id is no id of that vendor.
    """
    folder.mkdir()
    rows = _crm_rows(plays, problem_text=problem_text)
    ended = _ended_rows(gone, plays)
    more = [_PROBLEM] if problem_text else []
    targets = (
        (
            "salesforce",
            [*SALESFORCE_FIELDS, *(Field(api, source, limit=limit) for api, _, source, _, limit in more)],
            CLEARED,
        ),
        (
            "hubspot",
            [*HUBSPOT_FIELDS, *(Field(name, source, limit=limit) for _, name, source, _, limit in more)],
            HUBSPOT_NONE,
        ),
    )
    said = {}
    for vendor, fields, cleared in targets:
        lines = (*_lines(rows, fields, cleared), *_lines(ended, fields, ""))
        files = _write_parts(folder, vendor, [field.header for field in fields], lines, file_bytes, file_rows)
        linked = int(rows[f"{vendor}_id"].notna().sum())
        said[vendor] = {"rows": len(lines), "files": files, "without_crm_id": len(rows) - linked}
    return said


def _crm_rows(plays: pd.DataFrame, *, problem_text: bool) -> pd.DataFrame:
    reasons = [mark_internal(plays, f"reason_{k}").fillna("") for k in (1, 2, 3)]
    trigger = plays["trigger"].fillna("").str.cat(plays["trigger_evidence"].fillna(""), sep=": ").str.strip(": ")
    status = plays["status"].fillna("")
    rows = plays.assign(
        record_name=plays["account_name"].fillna(plays["account_id"]) + " · " + plays["product_name"],
        salesforce_id=plays["crm_id"].where(plays["crm_id"].str.fullmatch(_SALESFORCE_ID, na=False)),
        hubspot_id=plays["crm_id"].where(plays["crm_id"].str.fullmatch(_HUBSPOT_ID, na=False)),
        is_active="true",
        pipeline=PIPELINE,
        # a stage people moved on must not be put back by the next import: it is said once, then only when it returned
        stage=status.map(_STAGES).fillna("").mask(status.eq("") & plays["days_on_list"].eq(0), "Listed"),
        status=status,
        gone_why=None,
        why=reasons[0].str.cat(pd.concat(reasons[1:], axis=1), sep="; ").str.strip("; "),
        why_now=trigger,
        caution=mark_internal(plays, "caution"),
    )
    if not problem_text:
        for name in ("why", "why_now", "caution", "next_step", "talk_track"):
            rows[name] = withhold_statement(rows[name], plays["problem_statement"])
    return rows


def _ended_rows(gone: pd.DataFrame, plays: pd.DataFrame) -> pd.DataFrame:
    ended = gone[~gone["why"].isin(_GOES_ON) & ~gone["play_id"].isin(plays["play_id"])]
    return pd.DataFrame(
        {
            "play_id": ended["play_id"],
            "record_name": ended["account_name"].fillna(ended["account_id"]) + " · " + ended["product_name"],
            "is_active": "false",
            "pipeline": PIPELINE,
            "stage": "Gone",
            "gone_why": ended["detail"],
        }
    )


def _lines(rows: pd.DataFrame, fields: Sequence[Field], cleared: str) -> list[list[str]]:
    """Return the cells of all rows; a column that is absent is left to the CRM as it is."""
    shown = rows.reindex(columns=[field.source for field in fields])
    columns = [
        [_cell(field, value, cleared if field.source in rows else "") for value in shown[field.source]]
        for field in fields
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _cell(field: Field, value: object, cleared: str) -> str:
    if is_unknown(value) or value == "":
        # HubSpot's word for nothing is a text: it fits no number and no date
        return cleared if field.clears and (cleared == CLEARED or field.kind == "text") else ""
    if field.kind == "date":
        return str(pd.Timestamp(str(value)).date())
    if field.kind == "percent":
        return f"{100 * float(str(value)):.2f}"
    if field.kind == "number":
        return f"{float(str(value)):.2f}".removesuffix(".00")
    text = cut_text(clean_text(str(value)), field.limit)
    # the vendor would take these words of a customer for its own command to clear the field
    return "# N/A" if text.strip().upper() == CLEARED else text


def _write_parts(
    folder: Path, name: str, header: Sequence[str], lines: Iterable[Sequence[str]], file_bytes: int, file_rows: int
) -> int:
    """Write the lines to as many files as the limits need, each with the header; return how many."""
    files = 0
    for files, part in enumerate(
        _parts(_encoded(header), (_encoded(line) for line in lines), file_bytes, file_rows), 1
    ):
        suffix = "" if files == 1 else f"-{files}"
        (folder / f"{name}{suffix}.csv").write_bytes(b"".join(part))
    return files


def _parts(header: bytes, lines: Iterator[bytes], file_bytes: int, file_rows: int) -> Iterator[list[bytes]]:
    part, size = [header], len(header)
    for line in lines:
        if len(part) > 1 and (size + len(line) > file_bytes or len(part) == file_rows):
            yield part
            part, size = [header], len(header)
        part.append(line)
        size += len(line)
    yield part


def _encoded(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def crm_counts(said: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return the counts of `write_crm_files` for a manifest, as flat names.

    >>> crm_counts({"hubspot": {"rows": 2, "files": 1, "without_crm_id": 0}})
    {'hubspot_rows': 2, 'hubspot_files': 1, 'hubspot_without_crm_id': 0}
    """
    return {f"{vendor}_{what}": n for vendor, counts in said.items() for what, n in counts.items()}
