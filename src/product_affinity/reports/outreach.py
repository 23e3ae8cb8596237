"""What the outreach log says about the lists: units whose arm was drawn, and plays that nobody drew.

A unit is an account in a fixed half-year epoch (January to June, July to December). It is measured by its first drawn
play: what is proposed later in the epoch follows from what came of the first and would bias the comparison.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.labels import label_adoption
from product_affinity.motion.holdback import epoch_of
from product_affinity.reports.effect import (
    MIN_ADOPTIONS,
    MIN_UNITS,
    Balance,
    SampleRatio,
    check_balance,
    check_sample_ratio,
    estimate_effect,
    strata_of,
)
from product_affinity.reports.intervals import clustered_shares
from product_affinity.spine.accounts import PAID

COVARIATES = ("propensity", "tenure_days", "products_owned", "arr_before_usd")
OUTCOMES = {"adopted": "adoption", "arr_usd": "ARR, USD"}
Mode = Literal["off", "measure_only", "on"]
NOT_AN_EFFECT = "observational: who was worked was chosen, not drawn; the rates say nothing about cause"


LOGGED_COLUMNS = ("play_id", "account_id", "product_id", "as_of", "arm", "arm_probability")


def read_plays(
    facts: Facts,
    *,
    horizon_days: int,
    maturity_days: int,
    observed_until: dt.date,
    logged: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Read the plays of the outreach log, and those our own lists logged, with what came of each.

    Parameters
    ----------
    facts : checked source tables.
    logged : `LOGGED_COLUMNS` of the draws of published lists, or None; a play_id that the source table knows too
        counts once, as the source says.
    horizon_days, maturity_days, observed_until : as in `labels.label_adoption`; open horizons are missing.

    Returns
    -------
    DataFrame
        play_id, account_id, product_id, as_of (local day of the decision), arm, arm_probability, was_worked (an
        outcome was noted), tenure_days, products_owned and arr_before_usd at the decision, adopted (1, 0 or
        missing), arr_usd (of the start within the horizon, 0 without one, missing while open); sorted by as_of,
        account_id, product_id, play_id.
    """
    own = pd.DataFrame(columns=list(LOGGED_COLUMNS)) if logged is None else logged[list(LOGGED_COLUMNS)]
    own = own.astype({"play_id": "str", "account_id": "str", "product_id": "str", "as_of": "datetime64[us]"})
    facts.connection.register("logged_plays", own.astype({"arm": "str", "arm_probability": "float64"}))
    plays = facts.connection.execute(_PLAYS, {"until": observed_until}).df().astype({"as_of": "datetime64[us]"})
    facts.connection.unregister("logged_plays")
    # a product given up before may be proposed again: the first start *after* the decision counts
    keys = plays[["account_id", "product_id", "as_of"]].assign(is_winback=True)
    plays["adopted"] = label_adoption(
        facts, keys, horizon_days=horizon_days, maturity_days=maturity_days, observed_until=observed_until
    )
    arr = _arr_won(facts, keys, horizon_days, observed_until)
    plays["arr_usd"] = arr.mask(plays["adopted"].isna()).where(plays["adopted"].fillna(1) > 0, 0.0)
    return plays


_PLAYS = f"""
-- grain: play of the outreach log
with known as (
    select log.play_id, log.account_id, log.product_id, log.decided_on as as_of, log.arm, log.arm_probability
    from facts.outreach as log
    where {usable("log", "cast($until as date)")}
),
log as (
    from known
    union all
    select play_id, account_id, product_id, cast(as_of as date), arm, arm_probability
    from logged_plays as own
    where own.as_of < cast($until as date) and not exists (from known where known.play_id = own.play_id)
),
play as (
    select
        log.*,
        exists (
            from facts.outcomes as noted
            where noted.play_id = log.play_id and {usable("noted", "cast($until as date)")}
        ) as was_worked
    from log
),
owned as ( -- what ran at the decision, as known then
    select
        play.play_id,
        date_diff('day', min(sub.start_on), any_value(play.as_of)) as tenure_days,
        count(distinct sub.product_id) filter (where sub.end_on is null or sub.end_on >= play.as_of)
            as products_owned,
        sum(sub.arr_usd) filter (where sub.end_on is null or sub.end_on >= play.as_of) as arr_before_usd
    from play
    join facts.subscriptions as sub
        on sub.account_id = play.account_id and {usable("sub", "play.as_of")} and {PAID}
    group by play.play_id
)
select play.*, owned.tenure_days, owned.products_owned, owned.arr_before_usd
from play
left join owned using (play_id)
order by as_of, account_id, product_id, play_id
"""


def _arr_won(facts: Facts, keys: pd.DataFrame, horizon_days: int, observed_until: dt.date) -> pd.Series:
    """First known ARR of the first start within the horizon; an unpriced one counts 0."""
    facts.connection.register("play_rows", keys.assign(row=range(len(keys))))
    arr = facts.connection.execute(
        f"""
        with start as ( -- the price at the start, not one it grew to later
            select account_id, product_id, start_on, arg_min(arr_usd, _known_on) as arr_usd
            from facts.subscriptions as sub
            where {PAID} and _event_on < cast($until as date) and _known_on < cast($until as date)
            group by all
        )
        select play_rows.row, coalesce(arg_min(start.arr_usd, start.start_on), 0) as arr_usd
        from play_rows
        left join start
            on start.account_id = play_rows.account_id and start.product_id = play_rows.product_id
            and start.start_on >= cast(play_rows.as_of as date)
            and start.start_on < cast(play_rows.as_of as date) + cast($horizon as integer)
        group by play_rows.row
        order by play_rows.row
        """,
        {"until": observed_until, "horizon": horizon_days},
    ).df()["arr_usd"]
    facts.connection.unregister("play_rows")
    return pd.Series(arr.to_numpy(dtype=float), index=keys.index)


def build_units(plays: pd.DataFrame, scores: pd.DataFrame | None = None) -> pd.DataFrame:
    """Build the units: the first drawn play of each account and epoch.

    Plays outside the draw (arm `outside`, or an arm that was certain) are no units.

    Parameters
    ----------
    plays : as returned by `read_plays`.
    scores : account_id, product_id, as_of, propensity as published; what is not found stays missing.

    Returns
    -------
    DataFrame
        The columns of `plays` and epoch, treated, probability (of being treated), propensity, has_both_arms (a
        later play of the unit was drawn for the other arm); one row an account and epoch.
    """
    drawn = plays[plays["arm"].isin(["treated", "held_back"])]
    drawn = drawn[drawn["arm_probability"].between(0, 1, inclusive="neither")]
    drawn = drawn.assign(epoch=drawn["as_of"].map(epoch_of).astype("str"), treated=drawn["arm"].eq("treated"))
    drawn["probability"] = drawn["arm_probability"].where(drawn["treated"], 1 - drawn["arm_probability"])
    arms = drawn.groupby(["account_id", "epoch"])["treated"].transform("nunique")
    units = drawn.assign(has_both_arms=arms > 1).drop_duplicates(["account_id", "epoch"]).reset_index(drop=True)
    if scores is None:
        return units.assign(propensity=np.nan)
    keys = ["account_id", "product_id", "as_of"]
    known = scores[[*keys, "propensity"]].astype({"as_of": units["as_of"].dtype})
    return units.merge(known, on=keys, how="left", validate="m:1")


@dataclass(frozen=True)
class MeasuredEffect:
    """What the log allows to be said.

    Attributes
    ----------
    state : `off` (nobody was held back), `measure_only` (arms were drawn, every row was listed: a difference
        is luck or a fault) or `on`.
    reasons : why no effect is shown, or what to be careful about.
    effects : outcome, treated, held_back, treated_mean, held_back_mean, difference, low, high; empty where
        none may be shown.
    sample_ratio : of the units with a closed horizon, None without any.
    balance : per covariate that is known.
    observational : group, plays, accounts, adopted, share, low, high, note: never an effect.
    """

    state: Mode
    reasons: tuple[str, ...]
    effects: pd.DataFrame
    sample_ratio: SampleRatio | None
    balance: tuple[Balance, ...]
    observational: pd.DataFrame


def measure_effect(plays: pd.DataFrame, *, mode: Mode, scores: pd.DataFrame | None = None) -> MeasuredEffect:
    """Measure what being proposed changes, where a draw allows it, and say why where it does not.

    Units with an open horizon are left out of both arms; a stratum of equal probability with fewer than two units
    in an arm too, and said so.

    Parameters
    ----------
    plays : as returned by `read_plays`.
    mode : `[measurement] mode` of the settings.
    scores : published propensities, see `build_units`; they narrow the interval.
    """
    units = build_units(plays, scores)
    closed = units[units["adopted"].notna()].reset_index(drop=True)
    usable_units, reasons = _comparable(closed)
    reasons = [*_about(units, closed, mode), *reasons]
    treated, chance = usable_units["treated"], usable_units["probability"]
    ratio = check_sample_ratio(treated, chance) if len(usable_units) else None
    balance = tuple(
        check_balance(name, usable_units[name].to_numpy(dtype=float), treated, chance)
        for name in COVARIATES
        if usable_units[name].notna().any()
    )
    reasons += _suspicions(ratio, balance)
    barred = _too_few(usable_units) or (["the sample ratio is suspect"] if ratio and ratio.is_suspect else [])
    state: Mode = "off" if units.empty else ("measure_only" if mode == "measure_only" else "on")
    effects = _effects(usable_units) if not barred and state == "on" else _effects(usable_units.head(0))
    return MeasuredEffect(state, (*reasons, *barred), effects, ratio, balance, _observational(plays))


def _comparable(closed: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    stratum = strata_of(closed["probability"])
    counts = pd.crosstab(stratum, closed["treated"]).reindex(columns=[True, False], fill_value=0)
    thin = counts.index[counts.min(axis=1) < 2]
    kept = closed[~np.isin(stratum, thin)].reset_index(drop=True)
    said = [f"{len(closed) - len(kept)} units had a probability that one arm hardly drew: left out"]
    return kept, said if len(kept) < len(closed) else []


def _about(units: pd.DataFrame, closed: pd.DataFrame, mode: Mode) -> list[str]:
    said = []
    if mode == "off":
        said.append("[measurement] mode is off: no new row is held back")
    if mode == "measure_only":
        said.append("[measurement] mode is measure_only: every row was listed, so arms do not differ by design")
    if units.empty:
        said.append("the outreach log holds no drawn arms")
    if len(closed) < len(units):
        said.append(f"{len(units) - len(closed)} of {len(units)} units have an open horizon: left out of both arms")
    both = int(units["has_both_arms"].sum())
    if both:
        said.append(f"{both} units were drawn again for the other arm later: counted by their first draw")
    return said


def _suspicions(ratio: SampleRatio | None, balance: tuple[Balance, ...]) -> list[str]:
    said = []
    if ratio is not None and ratio.is_suspect:
        said.append(
            f"sample ratio: {ratio.treated} treated, {ratio.expected:.1f} expected (p {ratio.p_value:.1g}): "
            "the arms were not drawn as logged"
        )
    said += [
        f"{found.covariate} differs by {found.standardised:+.2f} standard deviations between arms before any play"
        for found in balance
        if found.is_suspect
    ]
    return said


def _too_few(units: pd.DataFrame) -> list[str]:
    said = []
    for arm, rows in (("treated", units[units["treated"]]), ("held back", units[~units["treated"]])):
        adopted = int(rows["adopted"].sum())
        if len(rows) < MIN_UNITS or adopted < MIN_ADOPTIONS:
            said.append(
                f"{len(rows)} {arm} units with {adopted} adoptions: at least {MIN_UNITS} and {MIN_ADOPTIONS} needed"
            )
    return said


def _effects(units: pd.DataFrame) -> pd.DataFrame:
    names = ("treated", "held_back", "treated_mean", "held_back_mean", "difference", "low", "high")
    rows = []
    if len(units):
        known = [name for name in COVARIATES if units[name].notna().any()]
        covariates = units[known].to_numpy(dtype=float) if known else None
        for column, outcome in OUTCOMES.items():
            found = estimate_effect(
                units[column].to_numpy(dtype=float), units["treated"], units["probability"], covariates
            )
            rows.append({"outcome": outcome} | {name: getattr(found, name) for name in names})
    return pd.DataFrame(rows, columns=["outcome", *names])


def _observational(plays: pd.DataFrame) -> pd.DataFrame:
    """Adoption of plays that were worked, not worked, or outside the draw: rates, never a difference."""
    group = np.select(
        [plays["arm"].eq("held_back"), plays["arm"].eq("outside"), plays["was_worked"].astype(bool)],
        ["", "outside the draw", "proposed and worked"],
        "proposed, nothing noted",
    )
    rows = plays.assign(group=group)[group != ""]
    shares = clustered_shares(rows, ["group"], "adopted").reset_index()
    return shares.rename(columns={"rows": "plays", "ones": "adopted"}).assign(note=NOT_AN_EFFECT)
