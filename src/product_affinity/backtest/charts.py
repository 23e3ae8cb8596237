"""The pictures of the report, each from the frame it shows."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from product_affinity.backtest.folds import Fold
from product_affinity.backtest.svg import Axis, Chart, picture, ticks

LIFT_DEPTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ROW = 46
_RATIOS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


def gain_chart(gains: pd.DataFrame, styles: Mapping[str, str], workable: float) -> str:
    """Draw the share of adoptions found against the share of pairs worked.

    Parameters
    ----------
    gains : of `gain_by_depth`.
    styles : class of each model's line; the last is drawn on top.
    workable : share of the pairs a team can work.
    """
    share = Axis("share of a product's pairs, most likely first", 0, 1, ticks(0, 1), percent)
    chart = Chart("Gain curves", share, Axis("share of the adoptions found", 0, 1, ticks(0, 1), percent))
    chart.line([(0, 0), (1, 1)], "chance")
    chart.rule(workable, f"workable: {percent(workable)}")
    _lines(chart, gains, "gain", styles)
    return chart.svg()


def lift_chart(gains: pd.DataFrame, styles: Mapping[str, str], workable: float) -> str:
    """Draw precision ÷ base rate against the share of pairs worked, on a logarithmic depth; see `gain_chart`."""
    seen = gains[gains["depth"] >= LIFT_DEPTHS[0]]
    top = max(2.0, float(seen["lift"].max()) * 1.05)
    depth = Axis("share of a product's pairs, most likely first", LIFT_DEPTHS[0], 1, LIFT_DEPTHS, percent, is_log=True)
    chart = Chart("Lift curves", depth, Axis("lift: precision ÷ base rate", 0, top, ticks(0, top), _plain))
    chart.line([(LIFT_DEPTHS[0], 1), (1, 1)], "chance")
    chart.rule(workable, f"workable: {percent(workable)}")
    _lines(chart, seen, "lift", styles)
    return chart.svg()


def reliability_chart(tenths: Mapping[str, pd.DataFrame], styles: Mapping[str, str]) -> str:
    """Draw observed against expected shares, with intervals; on the diagonal promises are kept.

    Parameters
    ----------
    tenths : of `reliability`, by model.
    styles : class of each model.
    """
    highest = [frame[["expected", "observed", "high"]].max().max() for frame in tenths.values()]
    top = max(0.001, float(max(highest)) * 1.05)
    say = fine_percent if top < 0.05 else percent
    chart = Chart(
        "Reliability",
        Axis("expected share of adopters", 0, top, ticks(0, top), say),
        Axis("observed share", 0, top, ticks(0, top), say),
    )
    chart.line([(0, 0), (top, top)], "chance")
    for model, frame in tenths.items():
        chart.line(zip(frame["expected"], frame["observed"], strict=True), f"{styles[model]} thin")
        for row in frame.to_dict(orient="records"):
            x, y, pairs = row["expected"], row["observed"], row["pairs"]
            says = f"{model}: expected {100 * x:.2f} %, observed {100 * y:.2f} % of {pairs:,}"
            chart.dot(x, y, styles[model], says=says, low=row["low"], high=row["high"])
    return chart.svg()


def level_chart(levels: pd.DataFrame, styles: Mapping[str, str]) -> str:
    """Draw observed ÷ expected adoptions by as-of date, on a logarithmic scale; 1 is right.

    Parameters
    ----------
    levels : of `levels_by_month`.
    styles : class of each model.
    """
    days = sorted(levels["as_of"].unique())
    known = levels[["value", "low", "high"]].to_numpy(np.float64)
    known = known[known > 0]
    low, high = min(0.5, max(0.1, float(known.min()))), max(2.0, min(10.0, float(known.max())))
    names = {float(k): f"{pd.Timestamp(day):%y-%m}" for k, day in enumerate(days)}
    chart = Chart(
        "Observed ÷ expected by month",
        Axis("as-of date", -0.5, len(days) - 0.5, tuple(names), lambda at: names[at]),
        Axis("observed ÷ expected", low, high, [t for t in _RATIOS if low <= t <= high], _plain, is_log=True),
    )
    chart.line([(-0.5, 1), (len(days) - 0.5, 1)], "chance")
    for number, (model, frame) in enumerate(levels.groupby("model", sort=False)):
        shift = 0.12 * number
        style = styles[str(model)]
        at = [days.index(day) + shift for day in frame["as_of"]]
        chart.line(zip(at, frame["value"], strict=True), f"{style} thin")
        for x, row in zip(at, frame.to_dict(orient="records"), strict=True):
            says = f"{model}, {row['as_of'].date()}: {row['adoptions']} adoptions, {row['expected']:.1f} expected"
            chart.dot(x, row["value"], style, says=says, low=row["low"], high=row["high"])
    return chart.svg()


def fold_chart(folds: Sequence[Fold]) -> str:
    """Draw the folds on a time line: training dates, the days until their labels are known, the test window.

    Parameters
    ----------
    folds : ascending by origin.
    """
    first = min(fold.train_as_ofs[0] for fold in folds)
    last = max(fold.test_as_ofs[-1] for fold in folds) + dt.timedelta(days=folds[0].gap_days)
    width, left = 940, 92
    scale = (width - left - 16) / max((last - first).days, 1)

    def at(day: dt.date) -> float:
        return left + (day - first).days * scale

    foot = len(folds) * ROW + 8
    quarters = pd.date_range(first, last, freq="QS")
    shapes = [_day_line(at(day.date()), f"{day:%Y-%m}", foot) for day in quarters]
    for number, fold in enumerate(folds):
        shapes.append(_fold_row(fold, number * ROW + 14, at))
    return picture("Folds on a time line", width, foot + 26, "".join(shapes))


def _fold_row(fold: Fold, top: float, at: Callable[[dt.date], float]) -> str:
    horizon, gap = dt.timedelta(days=fold.horizon_days), dt.timedelta(days=fold.gap_days)
    start, learnt, tested = fold.train_as_ofs[0], fold.train_as_ofs[-1], fold.test_as_ofs[-1]
    bars = (
        ("train", start, learnt, f"{len(fold.train_as_ofs)} training dates, {start} to {learnt}"),
        ("window", learnt, learnt + horizon, f"their last label window ends {learnt + horizon}"),
        ("wait", learnt + horizon, learnt + gap, f"{fold.maturity_days} days until its facts have arrived"),
        ("test", fold.origin, tested + horizon, f"tested at {fold.origin}, labels until {tested + horizon}"),
    )
    shapes = [f'<text class="tick" x="4" y="{top + 15:.1f}">{fold.origin}</text>']
    for style, begin, end, says in bars:
        width = max(at(end) - at(begin), 2.0)
        shapes.append(
            f'<rect class="{style}" x="{at(begin):.1f}" y="{top}" width="{width:.1f}" height="20" rx="3">'
            f"<title>{html.escape(says)}</title></rect>"
        )
    dots = (f'<circle class="asof" cx="{at(day):.1f}" cy="{top + 10}" r="2.2"/>' for day in fold.train_as_ofs)
    tests = (f'<circle class="asof" cx="{at(day):.1f}" cy="{top + 10}" r="4"/>' for day in fold.test_as_ofs)
    return "".join([*shapes, *dots, *tests])


def _day_line(x: float, says: str, foot: float) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{foot}"/>'
        f'<text class="tick" x="{x:.1f}" y="{foot + 17}" text-anchor="middle">{says}</text>'
    )


def _lines(chart: Chart, gains: pd.DataFrame, column: str, styles: Mapping[str, str]) -> None:
    for model, style in styles.items():
        one = gains[gains["model"] == model]
        chart.line(zip(one["depth"], one[column], strict=True), style)


def _plain(value: float) -> str:
    return f"{value:g}"


def percent(share: float) -> str:
    """Say a share in whole percent, or finer below one.

    >>> percent(0.2), percent(0.015)
    ('20 %', '1.5 %')
    """
    return f"{100 * share:.3g} %"


def fine_percent(share: float) -> str:
    """Say a small share in percent."""
    return f"{100 * share:.2g} %"
