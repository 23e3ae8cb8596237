"""What the report says in words: the verdict in figures, what a backtest cannot know, and its terms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from product_affinity.backtest.report_tables import number, rate_of
from product_affinity.backtest.result import COMPARED, POPULATIONS, BacktestResult

LIMITS = (
    "Past adopters were pitched: an adoption shows need and somebody's call together. The figures say whom the past "
    "found, not what a call would add; only the hold-back of the lists measures that.",
    "Nobody was pitched what nobody looked at: accounts outside yesterday's attention look colder than they are.",
    "Features are as known at each date as far as the tables say when a fact became known. A table without known_at "
    "may hold facts entered later; `affinity features --audit` proves the rest.",
    "Prices, catalogue and sellability are today's. What was sold otherwise then is judged by today's rules.",
    "The months tested are the past: a new competitor, price or market is not in them. Observed ÷ expected by month "
    "shows how far levels moved before.",
    "Intervals draw other accounts, not other months: a season that never happened is in none of them.",
    "Comparing many models, products and segments finds some winners by luck. An interval that excludes 0 in one of "
    "twenty comparisons is what chance gives.",
)
WORDS = (
    ("base rate", "share of the eligible pairs that adopt within the horizon; what guessing knows"),
    ("AUC within", "chance that an adopter outranks a non-adopter of the same product at the same date; 0.5 is a coin"),
    ("AP", "average precision; compare it with the base rate, not with 1"),
    ("lift@10 %", "adoption rate among the first tenth of a product's pairs ÷ its base rate"),
    ("within", "inside one product at one date, products weighted by their adoptions: none is too thin to count"),
    ("ARR@k", "share of the adopted ARR among the pairs a team can work, ranked by propensity × expected ARR"),
    ("skill", "share of the base rate's log-loss that the model removes; below 0 is harm"),
    ("O/E", "observed ÷ expected adoptions; 1 is right"),
    ("slope", "1 is right; below 1 the propensities are too extreme, above 1 too timid"),
    ("ECE", "mean gap between promised and observed share over tenths of the pairs"),
    ("MAP@7", "how well the products of an account are ordered; popularity is hard to beat here and ranks no accounts"),
    ("blend", "ours: the three candidates joined in log-odds by weights learnt on earlier dates"),
    ("pooled, heads, ridge", "its candidates: trees over all products, trees per product, a linear model"),
    ("popularity", "the product's recent adoption rate, the same for every account"),
    ("activity", "the account's usage level alone"),
    ("affinity", "what owners of the same products took"),
    ("scorecard", "the points of playbook/readiness.yml; scorecard_affinity is points × affinity"),
    ("logistic", "a logistic regression on all features"),
    ("lightgbm_default", "one LightGBM with its default settings a product"),
    ("launch estimate", "too few adoptions to learn from: ranked by what other products teach"),
)


@dataclass(frozen=True)
class Tile:
    """A figure at the top: what it is, its value, what stands beside it."""

    name: str
    value: str
    about: str


def tiles(result: BacktestResult) -> list[Tile]:
    """Return the figures a reader takes away, each with what it must be compared with."""
    counts = result.headline_counts
    tested = f"{int(counts['pairs']):,} pairs, base rate {rate_of(result)}"
    found = [
        Tile("first-time adoptions tested", f"{int(counts['adoptions']):,}", tested),
        _tile(result, "auc_within", "AUC within products"),
        _tile(result, "lift", "lift of the first tenth"),
        _tile(result, "captured_at_k", "ARR found by what a team can work"),
        _tile(result, "observed_over_expected", "observed ÷ expected", beside=False),
    ]
    return [tile for tile in found if tile.value != number(math.nan)]


def verdict(result: BacktestResult) -> list[str]:
    """Return sentences on ranking, value, level and what is not shown."""
    said = [_against(result, metric, name) for metric, name in _ASKED.items()]
    level = _row(result.overall, COMPARED, "observed_over_expected")
    too = "the promised level lies within the interval"
    if level["low"] > 1 or level["high"] < 1:
        too = f"it promised too {'little' if level['low'] > 1 else 'much'}, beyond chance"
    said.append(f"Level: observed ÷ expected {_shown(level)}; {too}.")
    said.append(_weak_products(result))
    if math.isnan(_row(result.overall, COMPARED, "auc")["value"]):
        said.append(f"No product has {result.min_positives} adoptions, so there are no means over products.")
    if result.launch_estimates:
        said.append(f"Launch estimates, too few adoptions to learn from: {', '.join(result.launch_estimates)}.")
    if len(result.folds) < 2:
        said.append("One fold only: one season, and no retrain to compare.")
    return [sentence for sentence in said if sentence]


_ASKED = {"auc_within": "Ranking of accounts (AUC within)", "log_loss_skill": "Ranking and level (log-loss skill)",
          "captured_at_k": "Value (ARR among what a team can work)"}  # fmt: skip


def _against(result: BacktestResult, metric: str, name: str) -> str:
    deltas = result.differences[result.differences["metric"] == metric].dropna(subset="value")
    if deltas.empty:
        return ""
    hardest = deltas.sort_values(["value", "baseline"]).iloc[0]
    ours = _row(result.overall, COMPARED, metric)
    beyond = int((deltas["low"] > 0).sum())
    lost = sorted(map(str, deltas.loc[deltas["high"] < 0, "baseline"]))
    worse = f", and is beaten beyond chance by {', '.join(lost)}" if lost else ""
    return (
        f"{name}: blend {_shown(ours)}; it beats {beyond} of {len(deltas)} baselines beyond chance{worse}. The hardest "
        f"is {hardest['baseline']}, difference {_shown(hardest, '+')}."
    )


def _weak_products(result: BacktestResult) -> str:
    """Name the products where the base rate alone has the better log-loss, the worst first."""
    groups = result.groups
    asked = groups["grouping"].eq("product") & groups["model"].eq(COMPARED) & groups["metric"].eq("log_loss_skill")
    judged = groups[asked & groups["adoptions"].ge(result.min_positives)]
    weak = judged[judged["value"] < 0].sort_values(["value", "group"])
    if weak.empty:
        return ""
    named = ", ".join(f"{row['group']} {_shown(row)}" for _, row in weak.iterrows())
    return (
        f"No better than the base rate (log-loss skill below 0) in {len(weak)} of {len(judged)} products with at least "
        f"{result.min_positives} adoptions: {named}."
    )


def _tile(result: BacktestResult, metric: str, name: str, *, beside: bool = True) -> Tile:
    ours = _row(result.overall, COMPARED, metric)
    interval = "" if math.isnan(ours["low"]) else f"{number(ours['low'])} … {number(ours['high'])}"
    shown = result.overall[result.overall["population"].eq(POPULATIONS[0]) & result.overall["metric"].eq(metric)]
    rivals = shown[shown["model"].isin(result.baselines)].dropna(subset="value")
    about = "1 is right"
    if beside:
        best = rivals.sort_values(["value", "model"], ascending=[False, True]).head(1)
        about = "".join(
            f"best baseline {number(float(best[0]))} ({best[1]})" for best in best[["value", "model"]].to_numpy()
        )
    return Tile(name, number(ours["value"]), "; ".join(part for part in (interval, about) if part))


def _row(overall: pd.DataFrame, model: str, metric: str) -> pd.Series[float]:
    chosen = overall["population"].eq(POPULATIONS[0]) & overall["model"].eq(model) & overall["metric"].eq(metric)
    found: pd.Series[float] = overall[chosen].iloc[0]
    return found


def _shown(row: pd.Series[float], sign: str = "") -> str:
    if math.isnan(row["low"]):
        return number(row["value"], sign)
    return f"{number(row['value'], sign)} [{number(row['low'], sign)}, {number(row['high'], sign)}]"
