"""May this challenger score? A list of checks, each with a code, its figures and a sentence.

Every interval is a 95 % bootstrap over accounts, paired where two models are compared. `docs/promotion.md`
says why each check is there; the thresholds are in `models/defaults.yml` under `gate`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table

from product_affinity.errors import RefusedError
from product_affinity.project.model_spec import ModelSpec
from product_affinity.registry.checks import Check, run_checks
from product_affinity.registry.comparison import Judged, judge
from product_affinity.registry.evidence import Evidence, Sides

_WORDS = {"passed": "pass", "warned": "warn", "refused": "REFUSE", "not_asked": "–"}


@dataclass(frozen=True)
class GateReport:
    """All checks of a challenger.

    Attributes
    ----------
    sides : who was compared with whom.
    as_of : as-of date of the promotion.
    checks : in the order of their codes.
    figures : metric, challenger, champion, difference, low, high, and a column a baseline.
    stands_in : the baseline that ranks meanwhile, in words; empty where there is a champion, or none stands in.
    is_champion : it was promoted already, and is judged by the evidence of its promotion.
    """

    sides: Sides
    as_of: dt.date
    checks: tuple[Check, ...]
    figures: tuple[dict[str, Any], ...]
    stands_in: str = ""
    is_champion: bool = False

    @property
    def refusals(self) -> tuple[Check, ...]:
        """Checks that stop the promotion."""
        return tuple(check for check in self.checks if check.state == "refused")

    @property
    def words(self) -> str:
        """Why it may be promoted or not, on one line."""
        if self.refusals:
            return "; ".join(f"{check.code} {check.words}" for check in self.refusals)
        warned = [f"{check.code} {check.words}" for check in self.checks if check.state == "warned"]
        asked = sum(check.state != "not_asked" for check in self.checks)
        said = f"passed {asked - len(warned)} of {asked} checks"
        return f"{said}; warned: {'; '.join(warned)}" if warned else said

    def raise_if_refused(self, meanwhile: str = "") -> None:
        """Stop a promotion.

        Parameters
        ----------
        meanwhile : what ranks until a model passes, a sentence to append.

        Raises
        ------
        RefusedError : with every check that refuses, its figures and the next step.
        """
        if self.refusals:
            raise RefusedError(
                f"bundle {self.sides.challenger} is not promoted: {self.words}. "
                f"See `affinity compare`; the limits are in models/defaults.yml under gate.{meanwhile}"
            )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "as_of": str(self.as_of),
            "sides": self.sides.model_dump(mode="json"),
            "promote": not (self.refusals or self.is_champion),
            "is_champion": self.is_champion,
            "words": self.words,
            "checks": [dict(vars(check)) for check in self.checks],
            "figures": [dict(row) for row in self.figures],
            "stands_in": self.stands_in or None,
        }

    def render(self) -> Group:
        """Return tables for the terminal: figures of both sides beside the baselines, then the checks."""
        verdict = "is NOT promoted" if self.refusals else "may be promoted"
        if self.is_champion:
            verdict = "is the champion: there is nothing to promote until `affinity train` makes another challenger"
        checks = Table("check", "asks", "state", "why", title="Checks", title_justify="left")
        for check in self.checks:
            checks.add_row(check.code, check.title, _WORDS[check.state], check.words)
        said = (f"There is no champion: nights are {self.stands_in}.",) if self.stands_in else ()
        figures = _figure_table(self.figures, self.sides)
        return Group(*_side_words(self.sides, is_champion=self.is_champion), *said, figures, checks, f"It {verdict}.")


def check_challenger(evidence: Evidence, spec: ModelSpec, *, as_of: dt.date) -> GateReport:
    """Judge a challenger by the evidence on it.

    Parameters
    ----------
    evidence : from `read_evidence`.
    spec : thresholds (`gate`), seed, and the adoptions a product needs to be judged alone.
    as_of : as-of date of the promotion; the library reads no clock.
    """
    judged = judge(evidence, spec)
    return GateReport(evidence.sides, as_of, run_checks(judged, as_of), _figures(judged))


def _figures(judged: Judged) -> tuple[dict[str, Any], ...]:
    rows = []
    for metric in judged.metrics:
        delta = judged.against_champion(metric)
        rows.append(
            {
                "metric": metric,
                "challenger": judged.figure("blend", metric).estimate,
                "champion": judged.figure("champion", metric).estimate,
                "difference": delta.estimate,
                "low": delta.low,
                "high": delta.high,
                **{name: judged.figure(name, metric).estimate for name in judged.sides.baselines},
            }
        )
    return tuple({key: _plain(value) for key, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def _side_words(sides: Sides, *, is_champion: bool) -> Iterable[str]:
    trained = f"{sides.challenger}, trained as of {sides.trained_as_of}"
    none = "was no champion" if is_champion else "is no intact champion"
    rival = f"champion {sides.champion}, trained as of {sides.champion_trained_as_of}" if sides.champion else None
    against = f"against {rival or f'the baselines alone: there {none}'}"
    yield (
        f"{trained}, is the champion; judged as at its promotion, {against}"
        if is_champion
        else (f"challenger {trained}, {against}")
    )
    yield from sides.changes
    if sides.unproven:
        yield say_unproven(sides)


def say_unproven(sides: Sides) -> str:
    """Say which inputs nothing proves in time, the largest of the gain first, and how much of it they have together.

    >>> parts = {"challenger": "c", "trained_as_of": dt.date(2026, 6, 30), "horizon_days": 90, "baselines": ("base",)}
    >>> say_unproven(Sides(**parts, gain_shares=(("a", 0.3), ("b", 0.2), ("c", 0.1)), unproven=("d", "b")))
    'not provable in time, as their sources keep no history: 2 input(s) with 20 % of the gain, b, d'
    """
    shares = dict(sides.gain_shares)
    ordered = sorted(dict.fromkeys(sides.unproven), key=lambda name: (-shares.get(name, 0.0), name))
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return (
        f"not provable in time, as their sources keep no history: {len(ordered)} input(s) with "
        f"{100 * sum(shares.get(name, 0.0) for name in ordered):.0f} % of the gain, {', '.join(ordered[:5])}{more}"
    )


def _figure_table(figures: tuple[dict[str, Any], ...], sides: Sides) -> Table:
    table = Table(title="On the same test rows", title_justify="left")
    for head in ("figure", "challenger", "champion", "difference", *sides.baselines):
        table.add_column(head, justify="left" if head == "figure" else "right")
    for row in figures:
        interval = "" if row["low"] is None else f"\n[{_number(row['low'], '+')}, {_number(row['high'], '+')}]"
        sided = [_number(row["challenger"]), _number(row["champion"]), _number(row["difference"], "+") + interval]
        table.add_row(row["metric"], *sided, *(_number(row[name]) for name in sides.baselines))
    return table


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}"
