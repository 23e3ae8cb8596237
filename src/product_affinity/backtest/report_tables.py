"""The tables of the report: every figure with its interval where there is one, and a base rate beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.backtest.charts import percent
from product_affinity.backtest.figures import METRICS
from product_affinity.backtest.result import COMPARED, POPULATIONS, BacktestResult
from product_affinity.backtest.svg import picture, whisker

MODEL_METRICS = ("auc_within", "auc", "ap", "lift", "captured_at_k", "log_loss_skill", "observed_over_expected")
CHANGE_METRICS = ("auc_within", "auc", "ap", "lift", "captured_at_k", "log_loss_skill", "map_at_7")
GROUP_METRICS = ("auc_within", "lift_within", "log_loss_skill", "observed_over_expected")
MARKS = {
    "auc": 0.5,
    "auc_within": 0.5,
    "lift": 1.0,
    "lift_within": 1.0,
    "observed_over_expected": 1.0,
    "calibration_slope": 1.0,
}
LAUNCH = "launch estimate"
TITLES = {"win_back": "Win-backs", "in_pipeline": "Pairs with an open deal"}


@dataclass(frozen=True)
class Cell:
    """A cell: its words, the interval in words, a small picture, and whether it is the best of its row."""

    text: str
    interval: str = ""
    picture: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A row: its name, a remark below it, its cells, and whether it stands out."""

    name: str
    cells: tuple[Cell, ...]
    mark: str = ""
    first: bool = False


@dataclass(frozen=True)
class ReportTable:
    """A table: what it says, the heads of its columns, its rows."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


def model_rows(result: BacktestResult) -> ReportTable:
    """Every model with its headline figures."""
    figures = result.overall[result.overall["population"] == POPULATIONS[0]]
    metrics = _existing(figures, MODEL_METRICS)
    cells = _figure_cells(figures, "model", metrics, style="m0")
    rows = tuple(
        Row(name, tuple(cells[name, metric] for metric in metrics), _kind(result, name), name == COMPARED)
        for name in result.models
    )
    caption = (
        f"First-time adoptions in white space, base rate {rate_of(result)}. 95 % intervals over accounts; AUC, AP and "
        f"lift are means over products with at least {result.min_positives} adoptions, AUC within weights all "
        "products by their adoptions. Thin line: no skill, or right."
    )
    return ReportTable(caption, ("model", *(METRICS[metric] for metric in metrics)), rows)


def difference_rows(result: BacktestResult) -> ReportTable:
    """Blend − baseline, paired."""
    metrics = _existing(result.differences, CHANGE_METRICS)
    no_change = dict.fromkeys(metrics, 0.0)
    cells = _figure_cells(result.differences, "baseline", metrics, style="m0", sign="+", marks=no_change)
    rows = tuple(Row(name, tuple(cells[name, metric] for metric in metrics)) for name in result.baselines)
    caption = (
        "Blend minus baseline on the same resamples of accounts: an interval right of the thin line is an advantage "
        "beyond chance, one that crosses it is none shown."
    )
    return ReportTable(caption, ("against", *(f"Δ {METRICS[metric]}" for metric in metrics)), rows)


def candidate_table(result: BacktestResult) -> ReportTable:
    """Product × candidate: blend weight, skill, which is best, and what the blend gains on it."""
    candidates = [name for name in result.models if name != COMPARED and name not in result.baselines]
    products = _group_frame(result, "product")
    skills = products[products["metric"] == "log_loss_skill"].set_index(["group", "model"])["value"]
    gained = _group_frame(result, "product", result.group_differences)
    gained = gained[gained["metric"] == "log_loss_skill"].set_index(["group", "model"])
    weights = result.weights.groupby(["product_id", "candidate"])["weight"].mean()
    rows, wins = [], dict.fromkeys(candidates, 0)
    judged = products[products["adoptions"] > 0]
    for product in _in_order(judged):
        own = {name: float(skills[product, name]) for name in candidates}
        best = max(own, key=lambda name: (own[name], name))
        adoptions = _count(products, product, "adoptions")
        few = int(judged.loc[judged["group"] == product, "adoptions"].iloc[0]) < result.min_positives
        wins[best] += not few
        cells = [adoptions, _rate(products, product)]
        for name in candidates:
            share = float(weights.get((product, name), math.nan))
            weight = "not yet sold" if math.isnan(share) else f"weight {share:.2f}"
            cells.append(Cell(number(own[name]), weight, _share_bar(share), name == best and not few))
        value, low, high = (float(gained[key][product, best]) for key in ("value", "low", "high"))
        cells += [
            Cell(number(float(skills[product, COMPARED]))),
            Cell("too few to tell" if few else best),
            Cell(number(value, "+"), _between(low, high, "+")),
        ]
        rows.append(Row(product, tuple(cells), LAUNCH if product in result.launch_estimates else ""))
    heads = (*(f"skill {name}" for name in candidates), "skill blend", "best candidate", "blend − best")
    told = ", ".join(f"{name} in {count}" for name, count in wins.items())
    caption = (
        f"Best by log-loss, of {sum(wins.values())} products with at least {result.min_positives} adoptions: {told}. "
        "Weights are means over folds; products without an adoption are left out."
    )
    return ReportTable(caption, ("product", "adoptions", "base rate", *heads), tuple(rows))


def calibration_table(result: BacktestResult) -> ReportTable:
    """Observed ÷ expected and slope of the blend, overall and by segment."""
    overall = result.overall[(result.overall["population"] == POPULATIONS[0]) & (result.overall["model"] == COMPARED)]
    segments = _group_frame(result, "segment")
    own = segments[segments["model"] == COMPARED] if len(segments) else segments
    metrics = ("observed_over_expected", "calibration_slope", "calibration_error")
    counts = result.headline_counts
    about = {"group": "all", "adoptions": counts["adoptions"], "base_rate": counts["base_rate"]}
    figures = pd.concat([overall.assign(**about), own], ignore_index=True)
    cells = _figure_cells(figures, "group", metrics, style="m0")
    rows = [
        Row(name, (_count(figures, name, "adoptions"), _rate(figures, name), *(cells[name, m] for m in metrics)))
        for name in figures["group"].drop_duplicates()
    ]
    caption = (
        "Calibration of the blend by segment. O/E above 1: it promised too little; slope below 1: its propensities "
        "are too extreme; ECE: mean gap over tenths, never 0 by chance alone."
    )
    return ReportTable(caption, ("segment", "adoptions", "base rate", *(METRICS[m] for m in metrics)), tuple(rows))


def group_rows(result: BacktestResult, grouping: str) -> ReportTable | None:
    """AUC, lift and skill of the blend per group, and its paired difference from the best baseline there."""
    figures = _group_frame(result, grouping)
    if figures.empty:
        return None
    metrics = _existing(figures, GROUP_METRICS)
    own = figures[figures["model"] == COMPARED]
    # without an adoption, skill compares two losses near 0 and tells nothing
    tells = own["metric"].ne("log_loss_skill") | own["adoptions"].gt(0)
    cells = _figure_cells(own.assign(value=own["value"].where(tells)), "group", metrics, style="m0")
    gained = result.group_differences[result.group_differences["grouping"] == grouping]
    against = gained[gained["metric"].eq("log_loss_skill") & gained["model"].isin(result.baselines)]
    rows = []
    for name in _in_order(own):
        hardest = against[against["group"] == name].dropna(subset="value").sort_values(["value", "model"]).head(1)
        few = int(own.loc[own["group"] == name, "adoptions"].iloc[0]) < result.min_positives
        notes = [LAUNCH] if grouping == "product" and name in result.launch_estimates else []
        notes += [f"fewer than {result.min_positives} adoptions: no interval"] if few else []
        told = (_count(own, name, "pairs"), _count(own, name, "adoptions"), _rate(own, name))
        rows.append(Row(name, (*told, *(cells[name, m] for m in metrics), _against(hardest)), ", ".join(notes)))
    heads = ("pairs", "adoptions", "base rate", *(METRICS[m] for m in metrics), "Δ skill to hardest baseline")
    caption = (
        f"The blend by {grouping}, ranked within product and fold, products weighted by their adoptions; the hardest "
        "baseline is the one with the best log-loss there."
    )
    return ReportTable(caption, (grouping, *heads), tuple(rows))


def overlap_table(result: BacktestResult) -> ReportTable:
    """Overlap of the first tenth between models one retrain apart, product × fold."""
    wide = result.overlaps.set_index(["product_id", "fold"])["overlap"].unstack()  # noqa: PD010 each pair occurs once
    wide.loc["mean"] = wide.mean()
    rows = []
    for name, line in zip(wide.index, wide.to_numpy(np.float64), strict=True):
        said = ("–" if math.isnan(share) else percent(round(share, 2)) for share in line)
        cells = tuple(Cell(text, "", _share_bar(share)) for text, share in zip(said, line, strict=True))
        rows.append(Row(str(name), cells, first=name == "mean"))
    mean = percent(round(float(result.overlaps["overlap"].mean()), 2))
    caption = f"Share of the first tenth that stays when the model is retrained; mean {mean}."
    return ReportTable(caption, ("product", *(f"tested at {fold}" for fold in wide.columns)), tuple(rows))


def fold_table(result: BacktestResult) -> ReportTable:
    """What each fold learnt from and was tested on."""
    figures = _group_frame(result, "fold")
    own = figures[figures["model"] == COMPARED]
    metrics = _existing(own, GROUP_METRICS)
    cells = _figure_cells(own, "group", metrics, style="m0")
    learnt = result.training.groupby("fold")[["pairs", "adoptions"]].sum()
    rows = []
    for name in own["group"].drop_duplicates():
        pairs, adoptions = (f"{int(learnt.loc[name, column]):,}" for column in ("pairs", "adoptions"))
        tested = (_count(own, name, "pairs"), _count(own, name, "adoptions"), _rate(own, name))
        trained = Cell(f"{adoptions} in {pairs}")
        rows.append(Row(name, (trained, *tested, *(cells[name, metric] for metric in metrics))))
    heads = ("learnt from adoptions in pairs", "test pairs", "adoptions", "base rate", *(METRICS[m] for m in metrics))
    caption = "The blend by fold; training rows include win-backs and open deals, test rows do not."
    return ReportTable(caption, ("tested at", *heads), tuple(rows))


def horizon_rows(result: BacktestResult) -> ReportTable | None:
    """Further horizons as published; None where there are none."""
    if result.horizons.empty:
        return None
    figures = result.horizons.assign(group=result.horizons["horizon_days"].astype("str"))
    metrics = tuple(figures["metric"].drop_duplicates())
    cells = _figure_cells(figures, "group", metrics, style="m0")
    rows = []
    for about in figures.drop_duplicates("group").to_dict(orient="records"):
        days = str(about["group"])
        told = (_count(figures, days, "pairs"), _count(figures, days, "adoptions"), _rate(figures, days))
        mended = Cell(f"{100 * about['corrected_share']:.1f} %")
        rows.append(
            Row(
                f"{days} days",
                (*told, mended, *(cells[days, m] for m in metrics)),
                f"folds: {about['folds']}, last {about['last_fold']}",
            )
        )
    heads = ("pairs", "adoptions", "base rate", "mended", *(METRICS[m] for m in metrics))
    caption = (
        "Further horizons of the blend as published, at the folds whose labels are closed: the ranking of the main "
        "horizon at the level that a constant hazard gives, a shorter one never above the main one, a longer one never "
        "below it. Mended: share of the pairs where that had to be mended."
    )
    return ReportTable(caption, ("horizon", *heads), tuple(rows))


def apart_tables(result: BacktestResult) -> list[ReportTable]:
    """Win-backs and pairs in pipeline, each with its own base rate."""
    tables = []
    for about in result.counts.iloc[1:].to_dict(orient="records"):
        population = str(about["population"])
        figures = result.overall[result.overall["population"] == population]
        if figures.empty:
            continue
        enough = int(about["adoptions"]) >= result.min_positives
        metrics = _existing(figures, GROUP_METRICS)
        cells = _figure_cells(figures, "model", metrics, style="m2")
        caption = (
            f"{TITLES[population]}: {int(about['pairs']):,} pairs, {int(about['adoptions']):,} adoptions, base rate "
            f"{100 * about['base_rate']:.2f} %."
            + ("" if enough else f" Fewer than {result.min_positives} adoptions: nothing can be concluded.")
        )
        rows = tuple(
            Row(name, tuple(cells[name, m] for m in metrics), first=name == COMPARED) for name in result.models
        )
        tables.append(ReportTable(caption, ("model", *(METRICS[m] for m in metrics)), rows))
    return tables


def number(value: float, sign: str = "") -> str:
    """Say a figure with three digits, a dash where it does not exist.

    >>> number(0.1234), number(2.345, "+"), number(float("nan"))
    ('0.123', '+2.35', '–')
    """
    if math.isnan(value):
        return "–"
    digits = 3 if abs(value) < 2 else 2 if abs(value) < 100 else 0
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def rate_of(result: BacktestResult) -> str:
    """Say the headline base rate."""
    return f"{100 * result.headline_counts['base_rate']:.2f} %"


def _kind(result: BacktestResult, name: str) -> str:
    return "" if name == COMPARED else "baseline" if name in result.baselines else "candidate"


def _group_frame(result: BacktestResult, grouping: str, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    frame = result.groups if frame is None else frame
    return frame[frame["grouping"] == grouping]


def _in_order(groups: pd.DataFrame) -> list[str]:
    """Names of the groups, most adoptions first."""
    sizes = groups.drop_duplicates("group").sort_values(["adoptions", "group"], ascending=[False, True])
    return list(map(str, sizes["group"]))


def _count(groups: pd.DataFrame, group: str, column: str) -> Cell:
    return Cell(f"{int(groups.loc[groups['group'] == group, column].iloc[0]):,}")


def _existing(figures: pd.DataFrame, metrics: Sequence[str]) -> tuple[str, ...]:
    """Metrics that exist for any row: a small company has no product with adoptions enough for a mean."""
    known = set(figures.dropna(subset="value")["metric"])
    return tuple(metric for metric in metrics if metric in known)


def _rate(groups: pd.DataFrame, group: str) -> Cell:
    return Cell(f"{100 * groups.loc[groups['group'] == group, 'base_rate'].iloc[0]:.2f} %")


def _against(hardest: pd.DataFrame) -> Cell:
    if hardest.empty:
        return Cell("–")
    row = hardest.iloc[0]
    return Cell(f"{number(row['value'], '+')} {row['model']}", _between(row["low"], row["high"], "+"))


def _share_bar(share: float) -> str:
    if math.isnan(share):
        return ""
    whole = '<rect class="empty" width="70" height="7" y="3"/>'
    part = f'<rect class="fill" width="{70 * share:.1f}" height="7" y="3"/>'
    return picture(f"{share:.0%}", 74, 12, whole + part).replace("<svg", '<svg class="mini"', 1)


def _figure_cells(
    figures: pd.DataFrame,
    name: str,
    metrics: Sequence[str],
    *,
    style: str,
    sign: str = "",
    marks: dict[str, float] | None = None,
) -> dict[tuple[str, str], Cell]:
    """Cells by (name, metric), whiskers on one scale a metric."""
    marks = MARKS if marks is None else marks
    cells: dict[tuple[str, str], Cell] = {}
    names = figures[name].drop_duplicates()
    for metric in metrics:
        rows = figures[figures["metric"] == metric].set_index(name)
        ends = _ends(rows, marks.get(metric, 0.0))
        for one in names:
            if one not in rows.index:
                cells[one, metric] = Cell("–")
                continue
            value, low, high = (float(rows.loc[one, key]) for key in ("value", "low", "high"))
            drawn = whisker(value, low, high, ends=ends, mark=marks.get(metric, 0.0), style=style)
            cells[one, metric] = Cell(number(value, sign), _between(low, high, sign), drawn)
    return cells


def _ends(rows: pd.DataFrame, mark: float) -> tuple[float, float]:
    """Ends of a column's scale: most of the intervals and the mark; one wild interval must not flatten the rest."""
    low, high = rows["low"].fillna(rows["value"]), rows["high"].fillna(rows["value"])
    least, most = min(float(low.quantile(0.1)), mark), max(float(high.quantile(0.9)), mark)
    if not least < most:
        return mark - 1, mark + 1
    margin = 0.05 * (most - least)
    return least - margin, most + margin


def _between(low: float, high: float, sign: str) -> str:
    return "" if math.isnan(low) else f"{number(low, sign)} … {number(high, sign)}"
