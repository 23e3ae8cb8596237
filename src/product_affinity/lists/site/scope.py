"""Whose page it is: an owner's own rows, or everybody's; no page names a contact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from product_affinity.lists.site.data import LIST_COLUMNS, SiteData
from product_affinity.lists.worklist import owner_key

# Above it a browser would need many seconds and megabytes; owners' own pages hold every one of their accounts.
MOST_ACCOUNTS, MOST_WATCHED = 5_000, 5_000


def without_contacts(data: SiteData) -> SiteData:
    """Return the data without a contact's name.

    A name is replaced by the role in every text of the account's plays, watchlist rows and checks, since words
    made elsewhere may quote it.
    """
    names = _names_to_roles(data.plays)
    plays = _without_names(data.plays, names).assign(stakeholder_name=None, stakeholder_id=None)
    tables = dict(data.accounts)
    if "checks" in tables:
        tables["checks"] = _without_names(tables["checks"], names)
    return replace(data, plays=plays, watchlist=_without_names(data.watchlist, names), accounts=tables)


def within_bounds(data: SiteData) -> SiteData:
    """Return the data of the common page, which holds so many rows and no more.

    Histories are kept for the first `MOST_ACCOUNTS` accounts (listed by value, in flight, then the watchlist),
    and the `MOST_WATCHED` most valuable rows of the watchlist.
    """
    watchlist = data.watchlist.head(MOST_WATCHED)
    by_value = data.plays.sort_values(["value_usd", "account_id"], ascending=[False, True], kind="stable")
    ids = pd.concat([by_value["account_id"], data.in_flight["account_id"], watchlist["account_id"]])
    kept = set(ids.drop_duplicates().head(MOST_ACCOUNTS))
    tables = {name: frame[frame["account_id"].isin(kept)] for name, frame in data.accounts.items()}
    return replace(data, watchlist=watchlist, accounts=tables)


def rows_by_owner(data: SiteData) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Yield each owner's key with the row positions of that owner's lists and of those accounts' tables.

    Owners come in the order of their keys; an owner without any row has no page.
    """
    keys = {name: getattr(data, name)["owner_id"].map(owner_key, na_action=None).astype("str") for name in LIST_COLUMNS}
    rows = {name: _positions(key) for name, key in keys.items()}
    accounts = {name: getattr(data, name)["account_id"].to_numpy() for name in LIST_COLUMNS if name != "gone"}
    positions = {name: _positions(frame["account_id"]) for name, frame in data.accounts.items()}
    for key in sorted(set().union(*rows.values())):
        own = {name: rows[name].get(key, _NOTHING) for name in LIST_COLUMNS}
        ids = sorted({str(account) for name in accounts for account in accounts[name][own[name]]})
        yield key, own, {name: _of(where, ids) for name, where in positions.items()}


_NOTHING = np.array([], dtype=np.int64)


def _positions(keys: pd.Series) -> dict[str, np.ndarray]:
    """Row positions by key, in their order."""
    found = keys.reset_index(drop=True).groupby(keys.to_numpy()).indices
    return {str(key): np.asarray(rows, dtype=np.int64) for key, rows in found.items()}


def _of(positions: Mapping[str, np.ndarray], accounts: list[str]) -> np.ndarray:
    return np.concatenate([_NOTHING, *(positions[account] for account in accounts if account in positions)])


def _names_to_roles(plays: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return, per account, the contact names its texts may hold and what replaces them."""
    named = plays.loc[plays["stakeholder_name"].notna(), ["account_id", "stakeholder_name", "stakeholder_role"]]
    roles: dict[str, dict[str, str]] = {}
    for account_id, name, role in named.itertuples(index=False):
        words = "the stakeholder" if pd.isna(role) else f"the {role}"
        roles.setdefault(str(account_id), {})[str(name)] = words
    return roles


def _without_names(frame: pd.DataFrame, names: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Replace each account's own contact names in its texts; keys and the names of account and product stay."""
    accounts = frame["account_id"].tolist()
    if not names.keys() & set(accounts):
        return frame
    texts = [
        str(name)
        for name in frame.columns
        if name not in _KEPT and pd.api.types.is_string_dtype(frame[name].dtype) and frame[name].notna().any()
    ]
    changed = {
        name: [
            _replaced(cell, names.get(account, {}))
            for cell, account in zip(frame[name].tolist(), accounts, strict=True)
        ]
        for name in texts
    }
    return frame.assign(**{name: pd.Series(cells, index=frame.index, dtype="str") for name, cells in changed.items()})


_KEPT = ("account_id", "account_name", "product_id", "product_name", "play_id", "owner_id", "owner_name")


def _replaced(cell: object, names: Mapping[str, str]) -> object:
    if not isinstance(cell, str):
        return cell
    for name, role in names.items():
        cell = cell.replace(name, role)
    return cell
