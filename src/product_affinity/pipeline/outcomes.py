"""`affinity outcomes FILE`: what people typed or the CRM exported becomes part of the source table `outcomes`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

from product_affinity.errors import UsageError
from product_affinity.lists import owner_key
from product_affinity.outcomes import (
    OutcomeReport,
    apply_outcomes,
    read_opportunity_csv,
    read_outcome_csv,
    read_workbook,
)
from product_affinity.project import Project

Kind = Literal["workbook", "opportunities", "outcomes"]


def take_outcomes(
    project: Project, path: Path, kind: Kind | None, *, received_at: dt.datetime, noted_at: dt.datetime | None
) -> OutcomeReport:
    """Read a returned file, validate every row against the list that caused it, and record what is new.

    Parameters
    ----------
    project : the project whose lists were worked.
    path : a filled-in workbook, an export of opportunity stages, or a table of outcomes.
    kind : what the file is; None takes a workbook from its suffix.
    received_at : the instant it was received, with its zone.
    noted_at : when its undated rows were noted, or None for the instant of receipt.

    Raises
    ------
    UsageError : the file is no such thing, too large, or cannot be read; nothing was recorded.
    LockedError : another command records outcomes.
    """
    timezone = project.settings.project.timezone
    if kind is None:
        if path.suffix.lower() != ".xlsx":
            raise UsageError(
                f"{path}: say what it is: --kind opportunities (CRM export) or --kind outcomes (our table)"
            )
        kind = "workbook"
    if kind == "workbook":
        returned = read_workbook(path, timezone=timezone)
    elif kind == "opportunities":
        returned = read_opportunity_csv(path, timezone=timezone)
    else:
        returned = read_outcome_csv(path, timezone=timezone)
    return apply_outcomes(
        returned,
        project.var,
        owner_key=owner_key,
        timezone=timezone,
        received_at=received_at,
        noted_at=noted_at,
    )
