"""What lies published: the newest list of one owner, and its date."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.errors import UsageError
from product_affinity.lists import verify_list
from product_affinity.lists.terminal import OwnerList, owner_list
from product_affinity.project import Project


def newest_date(project: Project) -> dt.date | None:
    """Return the as-of date of the newest published lists, None where nothing is published."""
    current = project.var / "lists" / "current"
    return dt.date.fromisoformat(current.readlink().name) if current.is_symlink() else None


def newest_list_of(project: Project, owner: str) -> OwnerList:
    """Return the rows of one owner on the newest published list.

    Parameters
    ----------
    project : the project.
    owner : the owner's id or name.

    Raises
    ------
    UsageError : nothing is published, the list was altered, or there is no such owner; with the closest match.
    """
    current = project.var / "lists" / "current"
    if not current.exists():
        raise UsageError(f"{current}: no list is published yet. Run `affinity nightly`.")
    faults = verify_list(current.resolve())
    if faults:
        raise UsageError(f"{faults[0]}. Run `affinity nightly` to publish it again.")
    return owner_list(pd.read_parquet(current / "worklist.parquet"), owner)
