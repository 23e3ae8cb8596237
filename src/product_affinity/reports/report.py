"""What was measured at a date, as files: one CSV a table and `report.md` to read."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from product_affinity.reports.outreach import MeasuredEffect
from product_affinity.reports.rules import disagreement

MOST_PAIRS = 20
DECIMALS = 6


@dataclass(frozen=True)
class Measured:
    """Everything a report shows.

    Attributes
    ----------
    as_of : only facts before it were used.
    horizon_days : of adoption, win and effect.
    rules : `measure_rules` of the readiness criteria.
    gates : the same of the gates.
    values : `measure_values` of what the criteria compare.
    points : `learn_points`.
    affinity : `learn_affinity`.
    adjacency : `suggest_adjacency`.
    effect : `measure_effect`.
    """

    as_of: dt.date
    horizon_days: int
    rules: pd.DataFrame
    gates: pd.DataFrame
    values: pd.DataFrame
    points: pd.DataFrame
    affinity: pd.DataFrame
    adjacency: pd.DataFrame
    effect: MeasuredEffect


def render_report(measured: Measured) -> dict[str, str]:
    """Return the files of the report, name to text; equal frames give equal text."""
    tables = {
        "criteria.csv": measured.rules,
        "gates.csv": measured.gates,
        "values.csv": measured.values,
        "scorecard_points.csv": measured.points,
        "affinity.csv": measured.affinity,
        "adjacency.csv": measured.adjacency,
        "effect.csv": measured.effect.effects,
        "effect_balance.csv": pd.DataFrame([asdict(found) for found in measured.effect.balance]),
        "observational.csv": measured.effect.observational,
    }
    files = {name: table.round(DECIMALS).to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    sections = (_head, _rules, _gates, _points, _affinity, _adjacency, _effect, _observational)
    return files | {"report.md": "\n\n".join(section(measured) for section in sections) + "\n"}


def write_report(folder: Path, measured: Measured) -> None:
    """Write the files of the report into an existing folder."""
    for name, text in render_report(measured).items():
        (folder / name).write_text(text, encoding="utf-8")


def _head(measured: Measured) -> str:
    return (
        f"# What was measured, as of {measured.as_of}\n\n"
        f"Adoption and win count within {measured.horizon_days} days; what is not fully observed yet is in no rate. "
        "Brackets hold 95 % intervals; rows of one account stand or fall together, and the intervals know it. "
        "Every table is also a CSV file beside this page."
    )


def _rules(measured: Measured) -> str:
    said = (
        "## Readiness criteria\n\n"
        "Read a criterion across its sides: where the intervals of pass and fail do not overlap, its threshold tells "
        "apart accounts that fare differently. It does not say that passing is why. `values.csv` shows adoption along "
        "the values themselves, in five bands, to see where a better bound would lie."
    )
    odd = disagreement(measured.rules)
    warned = "".join(
        f"\n\n**{row['code']} {row['title']}: those who fail adopt more often** "
        f"({row['fail_rate']:.1%} against {row['pass_rate']:.1%}): look at its threshold."
        for row in odd.to_dict(orient="records")
    )
    return said + _table(measured.rules, _RULE_CELLS) + warned


def _gates(measured: Measured) -> str:
    said = (
        "## Gates\n\n"
        "A gate protects the customer, so adoption on its failing side is no reason to lift it: look at later churn, "
        "and at how many pairs it stops."
    )
    return said + _table(measured.gates, _RULE_CELLS)


def _points(measured: Measured) -> str:
    said = (
        "## The scorecard's points\n\n"
        "Learned points are what each criterion adds when all are known together, scaled to 100; log-odds whose "
        "interval holds 0 say nothing. Move points from what has learned none to what has learned many."
    )
    return said + _table(
        measured.points,
        {
            "code": lambda row: row["code"],
            "criterion": lambda row: row["title"],
            "points": lambda row: f"{row['points']:.0f}",
            "learned points": lambda row: _number(row["learned_points"], ".0f"),
            "log-odds": lambda row: _with_interval(row["log_odds"], row["low"], row["high"], "+.2f"),
            "pass / fail / unknown": lambda row: f"{row['passed']:,} / {row['failed']:,} / {row['unknown']:,}",
        },
    )


def _affinity(measured: Measured) -> str:
    pairs = measured.affinity.assign(closed=measured.affinity["won"] + measured.affinity["lost"])
    shown = pairs.sort_values(["closed", "owned_product", "target_product"], ascending=[False, True, True])
    named = shown["differs"].ne("") | shown["reference_rate"].notna()
    shown = pd.concat([shown[named], shown[~named]]).head(max(MOST_PAIRS, int(named.sum())))
    said = (
        "## Affinity: owned product → target product\n\n"
        "Conversion is won ÷ closed attempts; the shrunk rate is what to plan with, as it trusts a rare pair less. "
        "Days are the median from opening to close, open opportunities counted as still open. Shown are pairs that "
        f"differ from what was said of them, and the {MOST_PAIRS} most tried; all are in `affinity.csv`."
    )
    return said + _table(
        shown,
        {
            "owned → target": lambda row: f"{row['owned_product']} → {row['target_product']}",
            "conversion": lambda row: _share(row, "won", "closed", "conversion_rate", "conversion"),
            "shrunk": lambda row: _percent(row["shrunk_rate"]),
            "reference": lambda row: _percent(row["reference_rate"]),
            "days": lambda row: _with_interval(row["days_to_close"], row["days_low"], row["days_high"], ".0f"),
            "reference days": lambda row: _number(row["reference_days"], ".0f"),
            "attach": lambda row: _share(row, "owners_of_both", "owners", "attach_rate", "attach"),
            "quadrant": lambda row: _word(row["quadrant"]),
            "differs": lambda row: row["differs"],
        },
    )


def _adjacency(measured: Measured) -> str:
    table = measured.adjacency
    shown = table[table[["icp_overlap", "workflow_integration", "quadrant"]].notna().any(axis=1)]
    said = (
        "## Adjacency suggested from data\n\n"
        "Odds ratios above 1 say that the same companies buy both (ICP overlap), or that more use of the one goes with "
        "adopting the other (workflow integration). A level is suggested only where the whole interval lies on one "
        "side of its threshold; where data and catalogue disagree, ask the people who sell both."
    )
    return said + _table(
        shown,
        {
            "owned → target": lambda row: f"{row['owned_product']} → {row['target_product']}",
            "ICP overlap": lambda row: _with_interval(row["icp_odds_ratio"], row["icp_low"], row["icp_high"], ".2f"),
            "level": lambda row: _word(row["icp_overlap"]),
            "owned both": lambda row: f"{row['both_owned']:,} of {row['accounts']:,}",
            "integration": lambda row: _with_interval(
                row["integration_odds_ratio"], row["integration_low"], row["integration_high"], ".2f"
            ),
            "its level": lambda row: _word(row["workflow_integration"]),
            "adopted, more use / less": lambda row: (
                f"{row['users_adopted']:,} of {row['users']:,} / {row['others_adopted']:,} of {row['others']:,}"
            ),
            "suggested": lambda row: _word(row["suggested_quadrant"]),
            "catalogue": lambda row: _word(row["quadrant"]),
        },
    )


def _effect(measured: Measured) -> str:
    effect = measured.effect
    said = (
        f"## Effect of the lists\n\nState: **{effect.state}**. "
        "The difference is between accounts drawn to be proposed and accounts drawn to be held back, whatever was then "
        "done: what being on a list changes on average, per unit: an account in a half-year."
    )
    parts = [said, "\n".join(f"- {reason}" for reason in effect.reasons), _sample_ratio(effect)]
    balance = pd.DataFrame([asdict(found) for found in effect.balance])
    shown = _table(effect.effects, _EFFECT_CELLS) + _table(balance, _BALANCE_CELLS)
    return "\n\n".join(part for part in parts if part) + shown


def _sample_ratio(effect: MeasuredEffect) -> str:
    ratio = effect.sample_ratio
    if ratio is None:
        return ""
    return f"Sample ratio: {ratio.treated:,} treated, {ratio.expected:,.1f} expected, p = {ratio.p_value:.3f}."


def _observational(measured: Measured) -> str:
    said = (
        "## Observational: no effect\n\n"
        "Nobody drew which of these plays were worked, so a higher rate may only say that the better accounts were "
        "chosen. The rates are shown to be known, not to be compared."
    )
    return said + _table(
        measured.effect.observational,
        {
            "plays": lambda row: row["group"],
            "adopted": lambda row: (
                f"{_with_interval(row['share'], row['low'], row['high'], '.1%')} "
                f"({row['adopted']:,} of {row['plays']:,} plays, {row['accounts']:,} accounts)"
            ),
        },
    )


Row = Mapping[Hashable, Any]
Cells = dict[str, Callable[[Row], str]]

_EFFECT_CELLS: Cells = {
    "outcome": lambda row: row["outcome"],
    "proposed": lambda row: f"{row['treated_mean']:,.4g} ({row['treated']:,} units)",
    "held back": lambda row: f"{row['held_back_mean']:,.4g} ({row['held_back']:,} units)",
    "effect": lambda row: _with_interval(row["difference"], row["low"], row["high"], "+,.4g"),
}
_BALANCE_CELLS: Cells = {
    "before the draw": lambda row: row["covariate"],
    "proposed": lambda row: f"{row['treated_mean']:,.4g}",
    "held back": lambda row: f"{row['held_back_mean']:,.4g}",
    "standardised difference": lambda row: f"{row['standardised']:+.2f}",
}
_RULE_CELLS: Cells = {
    "code": lambda row: row["code"],
    "about": lambda row: row["title"],
    "side": lambda row: row["side"],
    "pairs": lambda row: f"{row['pairs']:,} of {row['accounts']:,} accounts",
    "adopted": lambda row: _share(row, "adoption_ones", "adoption_rows", "adoption_rate", "adoption"),
    "won": lambda row: _share(row, "win_ones", "win_rows", "win_rate", "win"),
    "churned within a year": lambda row: _share(row, "churn_ones", "churn_rows", "churn_rate", "churn"),
}


def _table(rows: pd.DataFrame, cells: Cells) -> str:
    if rows.empty:
        return ""
    lines = ["| " + " | ".join(cells) + " |", "|" + " --- |" * len(cells)]
    lines += [_line(cell(row) for cell in cells.values()) for row in rows.to_dict(orient="records")]
    return "\n\n" + "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _share(row: Row, ones: str, rows: str, rate: str, bounds: str) -> str:
    if not row[rows]:
        return "–"
    interval = _with_interval(row[rate], row[f"{bounds}_low"], row[f"{bounds}_high"], ".1%")
    return f"{interval} ({row[ones]:,} of {row[rows]:,})"


def _with_interval(value: float, low: float, high: float, shown: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{format(value, shown)} [{_number(low, shown)}, {_number(high, shown)}]"


def _number(value: float, shown: str) -> str:
    return "–" if math.isnan(value) else format(value, shown)


def _percent(value: float) -> str:
    return _number(value, ".0%")


def _word(value: object) -> str:
    return value.replace("_", "-") if isinstance(value, str) else "–"
