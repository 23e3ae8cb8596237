"""The checks a challenger goes through, in their order: each reads the judged figures and answers in words."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from product_affinity.models.bootstrap import Interval
from product_affinity.project.model_spec import Bounds
from product_affinity.registry.comparison import Judged
from product_affinity.registry.evidence import BUNDLE, CHALLENGER
from product_affinity.registry.gains import CHANCE, chance_of_largest, first_shares, unproven_beyond_chance

#: figures of ranking alone, in which a baseline may be ahead though its level is worse
RANKING = ("auc", "ap", "lift")
MOST_NAMED = 5
State = Literal["passed", "warned", "refused", "not_asked"]


@dataclass(frozen=True)
class Check:
    """One check of a challenger.

    Attributes
    ----------
    code : P01 … P11.
    title : what is asked.
    state : passed, warned (shown, does not stop), refused, or not asked.
    figures : what it was decided on; None where a figure does not exist.
    words : the same as a sentence.
    """

    code: str
    title: str
    state: State
    figures: dict[str, float | None]
    words: str


Answer = tuple[State, dict[str, float | None], str]


def enough_evidence(judged: Judged, as_of: dt.date) -> Answer:
    """P01: are there adoptions enough in the test windows to judge anything?"""
    del as_of
    folds, least = int(judged.rows["fold"].nunique()), judged.gate.min_adoptions
    figures: dict[str, float | None] = {"adoptions": float(judged.adoptions), "folds": float(folds)}
    words = f"{judged.adoptions:,} first-time adoptions in {folds} test windows"
    if judged.adoptions < least:
        return "refused", figures, f"{words}, at least {least} are needed"
    return ("warned", figures, f"{words}: one window shows one season") if folds < 2 else ("passed", figures, words)


def fresh(judged: Judged, as_of: dt.date) -> Answer:
    """P02: was it trained lately, and on no less than the champion?"""
    sides, limit = judged.sides, judged.gate.max_age_days
    age = (as_of - sides.trained_as_of).days
    words = f"trained as of {sides.trained_as_of}, {age} days before {as_of}"
    if age > limit:
        return "refused", {"age_days": float(age)}, f"{words}, at most {limit} are allowed: run `affinity train`"
    if age < 0:
        return "refused", {"age_days": float(age)}, f"trained as of {sides.trained_as_of}, after {as_of}"
    if sides.champion_trained_as_of is not None and sides.trained_as_of < sides.champion_trained_as_of:
        older = f"{words}, and before the champion ({sides.champion_trained_as_of})"
        return "refused", {"age_days": float(age)}, older
    return "passed", {"age_days": float(age)}, words


def has_skill(judged: Judged, as_of: dt.date) -> Answer:
    """P03: does it tell adopters from others, better than each product's base rate? Shuffled labels end here."""
    del as_of
    skill, auc = judged.figure(CHALLENGER, "log_loss_skill"), judged.rank_skill()
    figures = _figures(log_loss_skill=skill, auc=auc)
    words = f"AUC within products {_shown(auc)}, log-loss skill over base rates {_shown(skill)}"
    if not (auc.low > 0.5 and skill.estimate > 0):
        return "refused", figures, f"{words}: no skill is shown, are the labels right?"
    return ("passed", figures, words) if skill.low > 0 else ("warned", figures, f"{words}: within noise")


def beats_baselines(judged: Judged, as_of: dt.date) -> Answer:
    """P04: is it better than every baseline by log-loss, which sees ranking and level, and behind none in ranking?"""
    del as_of
    if not judged.over_all:
        return "refused", {}, "no adoption in the test windows to compare by"
    deltas = {name: judged.against_baseline(name, "log_loss_skill") for name in judged.sides.baselines}
    figures = {f"{name}_{key}": value for name, delta in deltas.items() for key, value in _parts("", delta).items()}
    hardest = min(deltas, key=lambda name: (deltas[name].estimate, name))
    words = f"log-loss skill {_shown(deltas[hardest], '+')} against {hardest}, the hardest of {len(deltas)} baselines"
    state: State = "passed"
    if not deltas[hardest].estimate > 0:
        state = "refused"
    elif any(not delta.low > 0 for delta in deltas.values()):
        state, words = "warned", f"{words}: within noise"
    ranked, behind = _ranks_no_worse(judged)
    return max(state, ranked, key=_SEVERITY.index), figures, f"{words}{behind}"


def _ranks_no_worse(judged: Judged) -> tuple[State, str]:
    """Refused where a baseline ranks better at 95 %, warned where only the figure is; the words name the worst."""
    deltas = {(name, m): judged.against_baseline(name, m) for name in judged.sides.baselines for m in RANKING}
    ahead = {key: delta for key, delta in deltas.items() if delta.estimate < 0}
    surely = {key: delta for key, delta in ahead.items() if delta.high < 0}
    if not ahead:
        return "passed", ""
    # figures of different units: how far an interval reaches past 0 is compared as a share of its width
    (name, metric), delta = max((surely or ahead).items(), key=lambda item: (_depth(item[1]), item[0]))
    verb = "ranks better" if surely else "ranks better within noise"
    return "refused" if surely else "warned", f"; {name} {verb}: {metric} {_shown(delta, '+')} against it"


def _depth(delta: Interval) -> float:
    """How far below 0 a difference is, in widths of its interval; 0 where it has none."""
    width = delta.high - delta.low
    return -delta.estimate / width if width > 0 else 0.0


def no_worse_than_champion(judged: Judged, as_of: dt.date) -> Answer:
    """P05: is it no worse than the champion, beyond a margin, on the same rows?"""
    del as_of
    if judged.sides.champion is None:
        return "not_asked", {}, "no champion"
    if not judged.beside:
        why = "; ".join(judged.sides.changes) or "no common test rows"
        return "warned", {}, f"the champion cannot be compared ({why}); baselines alone decide"
    margins = judged.gate.champion_margins
    deltas = {metric: judged.against_champion(metric) for metric in margins}
    figures = {name: value for metric, delta in deltas.items() for name, value in _parts(f"{metric}_", delta).items()}
    worse = [m for m, d in deltas.items() if d.estimate < -margins[m] or (d.high < 0 and d.estimate < 0)]
    words = ", ".join(f"{metric} {_shown(delta, '+')}" for metric, delta in deltas.items())
    if worse:
        return "refused", figures, f"worse than the champion by {', '.join(worse)}: {words}"
    if judged.sides.comparison == "same_recipe":
        return "passed", figures, "the champion's recipe on newer data: equal on the same rows by construction"
    if judged.sides.columns_gone:
        gone = ", ".join(judged.sides.columns_gone[:3])
        return (
            "warned",
            figures,
            f"{words}, but the champion was refitted without {gone}, which features/ no longer has",
        )
    unsure = [metric for metric, delta in deltas.items() if delta.low < -margins[metric]]
    return ("warned", figures, f"{words}: worse within noise") if unsure else ("passed", figures, words)


def calibrated(judged: Judged, as_of: dt.date) -> Answer:
    """P06: do the probabilities mean what they say, over all test pairs?"""
    del as_of
    level = judged.figure(CHALLENGER, "observed_over_expected")
    slope = judged.figure(CHALLENGER, "calibration_slope")
    found = (
        ("observed ÷ expected", level, judged.gate.observed_over_expected),
        ("slope", slope, judged.gate.calibration_slope),
    )
    words = ", ".join(f"{name} {_shown(interval)}" for name, interval, _ in found)
    state = max((_within(interval, bounds) for _, interval, bounds in found), key=_SEVERITY.index)
    limits = ", ".join(f"{name} {bounds.low:g} to {bounds.high:g}" for name, _, bounds in found)
    figures = _figures(observed_over_expected=level, slope=slope)
    return state, figures, words if state == "passed" else f"{words}; wanted {limits}"


def holds_in_groups(judged: Judged, as_of: dt.date) -> Answer:
    """P07: in every product and segment, is it no worse than the base rate, and its level not far off?"""
    del as_of
    bounds = judged.gate.group_observed_over_expected
    if not judged.groups:
        return "not_asked", {}, "no product or segment has adoptions enough to be judged alone"
    refused, warned = [], []
    for group in judged.groups:
        said = f"{group.name} (skill {_shown(group.skill)}, O/E {_shown(group.observed_over_expected)})"
        state = _within(group.observed_over_expected, bounds)
        if group.skill.high < 0 or state == "refused":
            refused.append(said)
        elif not group.skill.estimate > 0 or state == "warned":
            warned.append(said)
    figures: dict[str, float | None] = {"groups": float(len(judged.groups)), "lowest_skill": _lowest(judged)}
    if refused:
        return "refused", figures, f"below its floor in {'; '.join(refused)}"
    if warned:
        return "warned", figures, f"near its floor in {'; '.join(warned)}"
    return "passed", figures, f"above its floor in all {len(judged.groups)} products and segments"


def stable_lists(judged: Judged, as_of: dt.date) -> Answer:
    """P08: would today's top lists stay recognisable?"""
    del as_of
    ranking, share = judged.evidence.ranking, judged.gate.top_share
    if judged.sides.champion is None or "champion" not in ranking:
        return "not_asked", {}, "no champion that can score today"
    overlap = top_overlap(ranking, share)
    figures: dict[str, float | None] = {"top_overlap": overlap}
    words = f"{100 * overlap:.0f} % of the champion's top {100 * share:.0f} % of each product stay on top"
    if not overlap >= judged.gate.min_top_overlap:
        return "refused", figures, f"{words}, at least {100 * judged.gate.min_top_overlap:.0f} % are wanted"
    return "passed", figures, words


def no_single_feature(judged: Judged, as_of: dt.date) -> Answer:
    """P09: does one feature have most of the gain, as one that knows the answer would, or some that nothing proves?

    A share that the largest of so many inputs, or so many together, reach by chance is no sign of that.
    """
    del as_of
    shares, gate = dict(judged.sides.gain_shares), judged.gate
    if not shares:
        return "not_asked", {}, "no trees"
    name, share = next(iter(shares.items()))
    jump = max((ratio for _, ratio in judged.ap_ratios()), default=math.nan)
    figures = {"largest_gain_share": share, "ap_ratio": jump if math.isfinite(jump) else None}
    words = f"largest shares of the gain: {first_shares(shares, 3)}"
    together = unproven_beyond_chance(shares, judged.sides.unproven, gate.warn_gain_share)
    if together:
        sum_of_them = math.fsum(shares[one] for one in together)
        figures["unproven_gain_share"] = sum_of_them
        return "refused", figures, f"{words}; {_may_know(together, sum_of_them)}"
    if share > gate.warn_gain_share and chance_of_largest(share, len(shares)) > CHANCE:
        by_right = f"{words}; one of {len(shares)} inputs reaches that by chance"
        return "warned" if share > gate.max_gain_share else "passed", figures, by_right
    # a strong feature and half a jump are as suspicious as a whole one; so is one that nothing proves in time
    suspicious = jump > (1 + gate.max_ap_ratio) / 2 or name in judged.sides.unproven
    if share > gate.max_gain_share or (share > gate.warn_gain_share and suspicious):
        return "refused", figures, f"{words}; {_may_know((name,), share)}"
    if share > gate.warn_gain_share:
        return "warned", figures, f"{words}; above {100 * gate.warn_gain_share:.0f} % ask how {name} is known in time"
    return "passed", figures, words


def _may_know(names: tuple[str, ...], share: float) -> str:
    """Say which inputs may know the answer, and what to do."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    named = f"{', '.join(names[:MOST_NAMED])}{more}"
    several = f" (not provable in time, together {100 * share:.0f} %)" if len(names) > 1 else ""
    return (
        f"{named} may know the answer{several}: see when its source rows are entered, and raise "
        "gate.warn_gain_share and gate.max_gain_share only once they are known to be in time"
    )


def no_sudden_jump(judged: Judged, as_of: dt.date) -> Answer:
    """P10: is it suddenly too good to be true?

    By its AUC alone; beside the champion on the same rows; and beside what the champion's own backtest found at
    its time (÷ base rate): a source that began to leak lifts both of today's figures, but not that one.
    """
    del as_of
    ratios, auc, gate = judged.ap_ratios(), judged.rank_skill().estimate, judged.gate
    figures: dict[str, float | None] = {
        "auc": auc if math.isfinite(auc) else None,
        "ap_ratio": max((ratio for _, ratio in ratios), default=None),
    }
    said = [f"AUC within products {auc:.3f}"]
    said += [f"average precision {ratio:.2f} times that of {whose}" for whose, ratio in ratios]
    words = ", ".join(said)
    if auc > gate.max_auc or any(ratio > gate.max_ap_ratio for _, ratio in ratios):
        limits = f"above {gate.max_auc:g} or {gate.max_ap_ratio:g} times"
        return "refused", figures, f"{words}; {limits} is a leak until shown otherwise (`affinity features --audit`)"
    return "passed", figures, words


def bundle_is_what_was_tested(judged: Judged, as_of: dt.date) -> Answer:
    """P11: does the bundle itself rank and predict like the model the backtest tried?

    The figures above are of models fitted at earlier origins; this one has seen the rows of the last fold, so it
    must agree with the model tried there, be no worse, and its level must fit what happened.
    """
    del as_of
    agreement, level, delta = rank_agreement(judged.last_fold()), *judged.bundle_on_last_fold()
    figures = {
        "rank_agreement": agreement if math.isfinite(agreement) else None,
        **_figures(observed_over_expected=level, skill_gained=delta),
    }
    adoptions, least = int(judged.last_fold()["adopted"].sum()), judged.gate.min_adoptions
    words = (
        f"on the last fold: rank correlation with the model tried there {agreement:.2f}, log-loss skill "
        f"{_shown(delta, '+')} against it, observed ÷ expected {_shown(level)}"
    )
    state = _within(level, judged.gate.group_observed_over_expected)
    if not agreement >= judged.gate.min_backtest_agreement or delta.high < 0 or state == "refused":
        advice = (
            "run `affinity train` again"
            if adoptions >= least
            else f"{adoptions} adoptions there are too few to tell two fits apart, more history is needed"
        )
        return "refused", figures, f"{words}: the bundle is not what was tested; {advice}"
    return state, figures, words


def top_overlap(ranking: pd.DataFrame, share: float) -> float:
    """Share (0 to 1) of the champion's top pairs that are the challenger's too, over all products.

    A product's top are its first `share` of pairs, at least one; ties go by account_id.

    >>> frame = pd.DataFrame({"account_id": list("ABCD"), "product_id": "crm",
    ...                       "challenger": [0.4, 0.3, 0.2, 0.1], "champion": [0.4, 0.1, 0.3, 0.2]})
    >>> top_overlap(frame, 0.5)
    0.5
    """
    both = wanted = 0
    for _, rows in ranking.groupby("product_id", sort=True):
        depth = max(1, math.floor(share * len(rows)))
        tops = [
            set(rows.sort_values([side, "account_id"], ascending=[False, True])["account_id"].head(depth))
            for side in ("challenger", "champion")
        ]
        both += len(tops[0] & tops[1])
        wanted += depth
    return both / wanted if wanted else math.nan


def rank_agreement(rows: pd.DataFrame) -> float:
    """Mean over products of the rank correlation (−1 to 1) between bundle and backtest, weighted by pairs."""
    found, sizes = [], []
    for _, chosen in rows.groupby("product_id", sort=True):
        correlation = chosen[BUNDLE].rank().corr(chosen[CHALLENGER].rank())
        if math.isfinite(correlation):
            found.append(float(correlation))
            sizes.append(len(chosen))
    return float(np.average(found, weights=sizes)) if found else math.nan


_SEVERITY: list[State] = ["not_asked", "passed", "warned", "refused"]


def _within(interval: Interval, bounds: Bounds) -> State:
    """Refused where the whole interval lies outside, warned where only the figure does."""
    if not math.isfinite(interval.estimate):
        return "refused"
    low, high = (interval.low, interval.high) if math.isfinite(interval.low) else (interval.estimate,) * 2
    if high < bounds.low or low > bounds.high:
        return "refused"
    return "passed" if bounds.low <= interval.estimate <= bounds.high else "warned"


def _lowest(judged: Judged) -> float:
    return min(group.skill.estimate for group in judged.groups)


def _figures(**intervals: Interval) -> dict[str, float | None]:
    return {name: value for key, interval in intervals.items() for name, value in _parts(f"{key}_", interval).items()}


def _parts(prefix: str, interval: Interval) -> dict[str, float | None]:
    values = {"value": interval.estimate, "low": interval.low, "high": interval.high}
    return {f"{prefix}{name}": value if math.isfinite(value) else None for name, value in values.items()}


def _shown(interval: Interval, sign: str = "") -> str:
    if not math.isfinite(interval.estimate):
        return "unknown"
    if not math.isfinite(interval.low):
        return f"{interval.estimate:{sign}.3f}"
    return f"{interval.estimate:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


_ASKED: tuple[tuple[str, str, Callable[[Judged, dt.date], Answer]], ...] = (
    ("P01", "evidence", enough_evidence),
    ("P02", "age", fresh),
    ("P03", "skill", has_skill),
    ("P04", "baselines", beats_baselines),
    ("P05", "champion", no_worse_than_champion),
    ("P06", "calibration", calibrated),
    ("P07", "products and segments", holds_in_groups),
    ("P08", "stability of the lists", stable_lists),
    ("P09", "leak: one feature", no_single_feature),
    ("P10", "leak: sudden jump", no_sudden_jump),
    ("P11", "bundle", bundle_is_what_was_tested),
)


def run_checks(judged: Judged, as_of: dt.date) -> tuple[Check, ...]:
    """Ask every check, in the order of their codes."""
    return tuple(Check(code, title, *ask(judged, as_of)) for code, title, ask in _ASKED)
