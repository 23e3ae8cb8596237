"""One owner's worklist on a terminal, and the same for machines."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.lists.worklist import UNASSIGNED
from product_affinity.lists.writers import clean_text
from product_affinity.schema.lists import WORKLIST_COLUMNS


@dataclass(frozen=True)
class OwnerList:
    """The rows one owner works.

    Attributes
    ----------
    owner : the owner's name, else the id; None for rows without an owner.
    rows : worklist rows in the order they are worked.
    """

    owner: str | None
    rows: pd.DataFrame

    def render(self) -> Table:
        """Return a small table for the terminal: who, what, how strong, the strongest reason, careful, what to do."""
        days = ", ".join(sorted({_text(day) for day in self.rows["as_of"]}))
        plays = "play" if len(self.rows) == 1 else "plays"
        title = f"{len(self.rows)} {plays} of {clean_text(self.owner or 'nobody: no owner')} as of {days}"
        table = Table(title=Text(title))
        table.add_column("#", justify="right")
        for name in ("account", "product"):
            table.add_column(name, overflow="fold")
        for name in ("chance", "value"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("why", "careful", "next step"):
            table.add_column(name, overflow="fold", ratio=1)
        for row in self.rows.to_dict("records"):
            table.add_row(*(Text(cell) for cell in _cells(row)))
        return table

    def to_json(self) -> dict[str, object]:
        """Return the rows with every published column, missing values as null and days as YYYY-MM-DD."""
        known = self.rows[[name for name in WORKLIST_COLUMNS if name in self.rows]].astype(object)
        records = known.where(known.notna(), None).to_dict("records")
        return {
            "owner": self.owner,
            "rows": [{name: _plain(cell) for name, cell in record.items()} for record in records],
        }


def owner_list(worklist: pd.DataFrame, owner: str) -> OwnerList:
    """Return the rows of one owner.

    Parameters
    ----------
    worklist : the published worklist of all owners.
    owner : id or name, in any case; `_unassigned` for rows without an owner.

    Raises
    ------
    UsageError : nobody with rows is called so (with the closest match), or several owners are (with their ids).

    >>> rows = pd.DataFrame({"owner_id": ["U-1", "U-2"], "owner_name": ["Ada", "Ben"], "rank": 1})
    >>> owner_list(rows, "ada").rows["owner_id"].tolist()
    ['U-1']
    """
    if owner == UNASSIGNED:
        return OwnerList(None, _ranked(worklist[worklist["owner_id"].isna()]))
    owners = worklist[["owner_id", "owner_name"]].dropna(subset="owner_id").drop_duplicates("owner_id")
    known = dict(zip(owners["owner_id"], owners["owner_name"], strict=True))
    found = [owner] if owner in known else _called(owner, known)
    if not found:
        names = sorted({*known, *(name for name in known.values() if isinstance(name, str))})
        hint = did_you_mean(owner, names) if names else " (nobody has any)"
        raise UsageError(f"--owner {clean_text(owner)}: no rows on this list{clean_text(hint)}")
    if len(found) > 1:
        raise UsageError(f"--owner {owner}: {len(found)} owners are called so: give the id, {' or '.join(found)}")
    name = known[found[0]]
    return OwnerList(name if isinstance(name, str) else found[0], _ranked(worklist[worklist["owner_id"].eq(found[0])]))


def _called(owner: str, known: dict[str, Any]) -> list[str]:
    """Ids whose id or name is `owner`, whatever the case and the spaces around."""
    wanted = owner.strip().casefold()
    return sorted(
        owner_id
        for owner_id, name in known.items()
        if wanted in (owner_id.casefold(), name.strip().casefold() if isinstance(name, str) else None)
    )


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("rank", kind="stable", ignore_index=True)


def _cells(row: dict[Any, Any]) -> list[str]:
    return [
        _text(row["rank"]),
        _text(row["account_name"]),
        _text(row["product_name"]),
        f"{row['propensity']:.1%}, one in {row['one_in']:,}",
        f"{row['value_usd']:,.0f}",
        _text(row.get("reason_1")),
        _text(row.get("caution")),
        _text(row.get("next_step")),
    ]


def _text(cell: Any) -> str:
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return ""
    return clean_text(str(_plain(cell)))


def _plain(cell: Any) -> Any:
    """Return days as text and numbers as Python's own."""
    if isinstance(cell, pd.Timestamp | dt.datetime):
        return cell.date().isoformat()
    if isinstance(cell, dt.date):
        return cell.isoformat()
    return cell.item() if hasattr(cell, "item") else cell
