"""Workbooks: one for everybody, one an owner, the same sheets in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from product_affinity.lists.content import ListContent, OwnerContent, owner_names
from product_affinity.lists.play_sheet import (
    OUTCOME_REASONS,
    feedback_columns,
    key_columns,
    money_format,
    play_columns,
    play_keys,
    play_row,
    preparation_columns,
    preparation_row,
)
from product_affinity.lists.readme_sheet import readme_rows
from product_affinity.lists.sheets import Book, Cell, Column
from product_affinity.lists.track import EVERYBODY, OPEN
from product_affinity.schema.tables import OUTCOME_STATUSES

# Enough to look up an account; a hundred thousand rows would only make the file slow to open.
TEAM_WATCHLIST_ROWS, OWNER_WATCHLIST_ROWS = 5_000, 200
_DATE = "yyyy-mm-dd"
_BOLD = {"bold": True}


def write_team_workbook(path: Path, content: ListContent) -> None:
    """Write the workbook of all owners; contacts are not named in it."""
    _write(path, content, owner=None)


def write_owner_workbook(path: Path, part: OwnerContent) -> None:
    """Write one owner's workbook; contacts are named in it, unless nobody owns the rows."""
    _write(path, part.content, owner=part)


def _write(path: Path, content: ListContent, *, owner: OwnerContent | None) -> None:
    own = owner is not None
    named = owner is not None and owner.is_person
    title = f"Cross-sell plays of {owner.name}" if owner else "Cross-sell plays"
    with Book(path, title, content.as_of) as book:
        columns = play_columns(content.currency, content.horizon_days, own=own)
        rows = (play_row(play, own=own) for play in _named(content.plays, named=named))
        book.add_table("Worklist", columns, _or_why(rows, content, len(columns)), frozen=2)
        if own:
            prepared = (preparation_row(play) for play in _named(content.plays, named=named))
            book.add_table("Before the call", preparation_columns(), prepared, frozen=1)
        book.add_table("In flight", *_in_flight(content.in_flight, own=own), frozen=1)
        book.add_table("Why not", *_why_not(content, own=own), frozen=1)
        book.add_table("Gone", *_gone(content, own=own), frozen=1)
        book.add_table("Track record", *_track(content, own=own))
        book.add_text("Read me", readme_rows(content, title, columns, _watchlist_rows(own=own)))
        book.add_choices("Choices", (OUTCOME_STATUSES, OUTCOME_REASONS))


def _named(plays: pd.DataFrame, *, named: bool) -> Iterator[Mapping[str, object]]:
    """Go through the plays; contacts lose their name unless the reader owns them."""
    shown = plays if named else plays.assign(stakeholder_name=None)
    names = list(shown.columns)
    return (dict(zip(names, row, strict=True)) for row in shown.itertuples(index=False, name=None))


def _or_why(rows: Iterator[list[object]], content: ListContent, width: int) -> Iterator[list[object]]:
    """Give the rows, or one that explains why there are none."""
    yield from rows
    if content.emptiness():
        yield [None, content.emptiness(), *[None] * (width - 2)]


def _watchlist_rows(*, own: bool) -> int:
    return OWNER_WATCHLIST_ROWS if own else TEAM_WATCHLIST_ROWS


def _owner_column(*, own: bool) -> list[Column]:
    return [] if own else [Column("Owner", 16)]


def _owner_cell(row: Mapping[str, object], *, own: bool) -> list[object]:
    return [] if own else [row["owner_name"] if isinstance(row["owner_name"], str) else row["owner_id"]]


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _account(row: Mapping[str, object]) -> object:
    return row["account_name"] if isinstance(row["account_name"], str) else row["account_id"]


def _product(row: Mapping[str, object]) -> object:
    return row["product_name"] if isinstance(row["product_name"], str) else row["product_id"]


def _in_flight(frame: pd.DataFrame, *, own: bool) -> tuple[list[Column], list[list[object]]]:
    columns = [
        Column("Account", 28, look=_BOLD),
        *_owner_column(own=own),
        Column("Product", 24),
        Column("What is running", 60),
        Column("Days", 8, number_format='0 "d"'),
        *feedback_columns(),
        *key_columns(),
    ]
    rows = [
        [
            _account(row),
            *_owner_cell(row, own=own),
            _product(row),
            row["evidence"],
            row["days_on_list"],
            *(row[name] for name in ("status", "outcome_reason", "outcome_note")),
            *play_keys(row),
        ]
        for row in _records(frame)
    ]
    return columns, rows


def _why_not(content: ListContent, *, own: bool) -> tuple[list[Column], list[list[object]]]:
    columns = [
        Column("Account", 28, look=_BOLD),
        *_owner_column(own=own),
        Column("Product", 24),
        Column("Chance", 9, number_format="0.0%"),
        Column("Worth", 11, number_format=money_format(content.currency)),
        Column("Gate", 22),
        Column("What we saw", 48),
        Column("What would open it", 48),
        Column("Opens on", 12, number_format=_DATE),
    ]
    rows = [
        [
            _account(row),
            *_owner_cell(row, own=own),
            _product(row),
            row["propensity"],
            row["value_usd"],
            content.gate_words(str(row["gate"])),
            row["evidence"],
            row["unblocked_by"],
            row["unblocked_on"],
        ]
        for row in _records(content.watchlist.head(_watchlist_rows(own=own)))
    ]
    return columns, rows


def _gone(content: ListContent, *, own: bool) -> tuple[list[Column], list[list[object]]]:
    columns = [
        Column("Account", 28, look=_BOLD),
        *_owner_column(own=own),
        Column("Product", 24),
        Column("Last rank", 8, number_format="0"),
        Column("Worth then", 11, number_format=money_format(content.currency)),
        Column("Last listed on", 12, number_format=_DATE),
        Column("On list", 8, number_format='0 "d"'),
        Column("Why it is gone", 70),
    ]
    fields = ("last_rank", "value_usd", "last_listed_on", "days_on_list", "detail")
    rows = [
        [_account(row), *_owner_cell(row, own=own), _product(row), *(row[name] for name in fields)]
        for row in _records(content.gone)
    ]
    return columns, rows


def _track(content: ListContent, *, own: bool) -> tuple[list[Column], list[list[object]]]:
    columns = [
        Column("List of", 12, number_format=_DATE),
        Column("Whose", 16),
        Column("Plays", 8, number_format="#,##0"),
        Column("Within", 9, number_format='0 "d"'),
        Column("Predicted to buy", 11, number_format="0.0"),
        Column("By chance", 12),
        Column("Bought", 9, number_format="0"),
        Column("Answered", 10, number_format="0"),
        Column("Window closes", 13, number_format=_DATE),
        Column("State", 40),
    ]
    names = {} if own else owner_names(content)
    rows = [
        [
            row["listed_on"],
            "everybody"
            if row["owner_key"] == EVERYBODY
            else "yours"
            if own
            else names.get(str(row["owner_key"]), row["owner_key"]),
            row["plays"],
            row["window_days"],
            row["predicted"],
            f"{row['predicted_low']:.0f} to {row['predicted_high']:.0f}",
            row["observed"],
            row["outcomes"],
            row["closes_on"],
            Cell("open: not comparable yet", fill="#FFE9A8") if row["state"] == OPEN else row["state"],
        ]
        for row in _records(content.track)
    ]
    return columns, rows
