"""Track record: what earlier lists predicted, what was adopted since, and which outcomes came back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd

from product_affinity.lists.previous import PublishedList, latest_before
from product_affinity.lists.worklist import owner_key

AGES_DAYS = (30, 90)
WINDOWS_DAYS = (30, 90)
EVERYBODY = ""
TRACK_COLUMNS = (
    "owner_key",
    "listed_on",
    "window_days",
    "plays",
    "predicted",
    "predicted_low",
    "predicted_high",
    "observed",
    "outcomes",
    "closes_on",
    "state",
)
COMPLETE, SETTLING, OPEN = "complete", "closed, late facts may still arrive", "open"


def build_track_record(
    lists: Path,
    as_of: dt.date,
    adoptions: pd.DataFrame,
    outcomes: pd.DataFrame | None,
    *,
    maturity_days: int = 7,
) -> pd.DataFrame:
    """Compare the lists of 30 and 90 days ago with what happened.

    Predicted adoptions of a list are Σ p over its rows, p the propensity for the window; the range is
    ``Σp ± 1.645 √Σp(1−p)`` (normal approximation of the Poisson-binomial, 90 %), not below 0. Observed ones are
    first paid starts in ``[listed_on, listed_on + window)`` known at `as_of`. In an open window they are not yet
    comparable, and `state` says so.

    Parameters
    ----------
    lists : `var/lists`; for each age the newest list that is at least so old is taken.
    as_of : today's as-of date.
    adoptions : account_id, product_id, adopted_on: first paid starts known at `as_of`.
    outcomes : outcomes table known at `as_of`, or None.
    maturity_days : days after a window's end until late facts are in.

    Returns
    -------
    DataFrame
        `TRACK_COLUMNS`, one row a list × window × owner_key, and one with owner_key "" for everybody; `outcomes`
        counts plays for which anything came back.
    """
    found = [latest_before(lists, as_of - dt.timedelta(days=age - 1)) for age in AGES_DAYS]
    shown = {earlier.as_of: earlier for earlier in found if earlier is not None}
    parts = [
        _compared(shown[day], window, as_of, adoptions, outcomes, maturity_days)
        for day in sorted(shown)
        for window in WINDOWS_DAYS
    ]
    parts = [part for part in parts if not part.empty]
    if not parts:
        return pd.DataFrame(columns=list(TRACK_COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(TRACK_COLUMNS)]


def _compared(
    earlier: PublishedList,
    window: int,
    as_of: dt.date,
    adoptions: pd.DataFrame,
    outcomes: pd.DataFrame | None,
    maturity_days: int,
) -> pd.DataFrame:
    """Return one list and one window, for everybody and by owner; empty where that window is not predicted."""
    rows = _predicted(earlier, window)
    if rows.empty:
        return rows
    closes_on = earlier.as_of + dt.timedelta(days=window)
    since = pd.to_datetime(adoptions["adopted_on"])
    inside = (since >= pd.Timestamp(earlier.as_of)) & (since < pd.Timestamp(min(closes_on, as_of)))
    adopted = adoptions.loc[inside, ["account_id", "product_id"]].drop_duplicates()
    rows = rows.merge(adopted.assign(observed=1), on=["account_id", "product_id"], how="left", validate="1:1")
    answered = set() if outcomes is None else set(outcomes["play_id"].dropna())
    rows = rows.assign(
        observed=rows["observed"].fillna(0).astype("int64"),
        outcomes=rows["play_id"].isin(answered).astype("int64"),
        spread=rows["predicted"] * (1 - rows["predicted"]),
        plays=1,
        owner_key=rows["owner_id"].map(owner_key, na_action=None).astype("str"),
    )
    sums = ["plays", "predicted", "spread", "observed", "outcomes"]
    both = pd.concat([rows.assign(owner_key=EVERYBODY), rows])
    summed = both.groupby("owner_key", sort=True, as_index=False)[sums].sum()
    half = 1.645 * summed["spread"] ** 0.5
    return summed.assign(
        listed_on=pd.Timestamp(earlier.as_of),
        window_days=window,
        predicted_low=(summed["predicted"] - half).clip(lower=0),
        predicted_high=summed["predicted"] + half,
        closes_on=pd.Timestamp(closes_on),
        state=_state(closes_on, as_of, maturity_days),
    )


def _predicted(earlier: PublishedList, window: int) -> pd.DataFrame:
    if earlier.folder is None or earlier.worklist.empty:
        return pd.DataFrame()
    name = f"propensity_{window}d"
    keys = ["account_id", "product_id"]
    scores = pd.read_parquet(earlier.folder / "scores.parquet", columns=[*keys, name])
    rows = earlier.worklist[["play_id", "owner_id", *keys]].merge(scores, on=keys, how="left", validate="1:1")
    rows = rows.rename(columns={name: "predicted"})
    return rows if rows["predicted"].notna().all() else rows.iloc[:0]


def _state(closes_on: dt.date, as_of: dt.date, maturity_days: int) -> str:
    if closes_on > as_of:
        return OPEN
    return COMPLETE if closes_on + dt.timedelta(days=maturity_days) <= as_of else SETTLING
