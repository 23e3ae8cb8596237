"""Write the demo company: its source tables, the truth beside them, and a catalogue that fits its history."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from product_affinity.demo.clock import HORIZONS_DAYS
from product_affinity.demo.deals import implementation_rows, opportunity_rows, outcome_rows, outreach_rows
from product_affinity.demo.dirt import dirty
from product_affinity.demo.effects import World
from product_affinity.demo.observations import (
    health_rows,
    problem_rows,
    signal_rows,
    survey_rows,
    ticket_rows,
)
from product_affinity.demo.people import account_rows, contact_rows, draw_contacts
from product_affinity.demo.population import Integers
from product_affinity.demo.products import DEFAULT_MONTHS, DEFAULT_UNTIL, shift_catalog, write_catalog
from product_affinity.demo.simulation import History, simulate
from product_affinity.demo.subscriptions import Subscriptions, build_subscriptions, subscription_rows
from product_affinity.demo.telemetry import feature_pieces, usage_pieces
from product_affinity.demo.traps import describe, plant, provisioned
from product_affinity.demo.truth import true_pairs
from product_affinity.demo.writing import Columns, TableWriter, Words, dates, numbered, write_table
from product_affinity.errors import UsageError
from product_affinity.project.catalog import Catalog
from product_affinity.project.reading import read_yaml, validate

LARGEST, LONGEST_MONTHS = 1_000_000, 120
FIRST_UNTIL, LAST_UNTIL = dt.date(2015, 1, 1), dt.date(2099, 12, 31)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class DemoSummary:
    """What was written.

    Attributes
    ----------
    rows : table name to number of rows, dirty rows included.
    active_accounts : customers at the end of the history.
    adoptions : first paid starts of a further product within the history.
    truth_rows : rows of `truth/pairs.parquet`.
    """

    rows: dict[str, int]
    active_accounts: int
    adoptions: int
    truth_rows: int

    def __str__(self) -> str:
        return (
            f"{self.rows['accounts']:,} account rows, {self.active_accounts:,} active customers, "
            f"{self.adoptions:,} adoptions, {self.rows['usage']:,} days of usage, "
            f"{self.truth_rows:,} pairs with their true probabilities"
        )


def _silent(message: str) -> None:
    del message


def write_demo(
    folder: Path,
    *,
    template: Path,
    accounts: int = 2500,
    months: int = DEFAULT_MONTHS,
    until: dt.date = DEFAULT_UNTIL,
    seed: int = 7,
    world: World = "shared",
    traps: bool = False,
    progress: Progress = _silent,
) -> DemoSummary:
    """Write `data/`, `truth/` and `models/catalog.yml` of a demo project.

    Parameters
    ----------
    folder : the project; existing files of these names are replaced.
    template : a project folder whose `models/catalog.yml` describes the products.
    accounts : how many accounts there ever were, prospects and former customers included, 20 to 1,000,000.
    months : length of the history, 2 to 120.
    until : the day it ends; no fact happens on it or later.
    seed : same arguments and seed write the same bytes.
    world : ``"shared"`` (need shows in pair signals) or ``"specific"`` (each product has its own effects).
    traps : plant the leaks described in `truth/traps.json`.
    progress : called with a sentence before each slow step.

    Raises
    ------
    UsageError : an argument is out of range, or the template has no readable catalogue.
    """
    _check_arguments(accounts, months, until, world)
    source = template / "models" / "catalog.yml"
    catalog = shift_catalog(validate(Catalog, read_yaml(source), str(source)), months, until)
    progress(f"simulating {accounts:,} accounts over {months} months")
    history = simulate(catalog, accounts=accounts, months=months, until=until, seed=seed, world=world)
    write_catalog(source, folder / "models" / "catalog.yml", catalog)
    rows = _write_tables(folder / "data", history, traps, progress)
    progress("computing true probabilities")
    truth_rows = _write_truth(folder / "truth", history, describe() if traps else [])
    return DemoSummary(
        rows=rows,
        active_accounts=int(history.active[-1].sum()),
        adoptions=int((history.adoptions["via"] > 0).sum()),
        truth_rows=truth_rows,
    )


def _check_arguments(accounts: int, months: int, until: dt.date, world: str) -> None:
    if not FIRST_UNTIL <= until <= LAST_UNTIL:
        raise UsageError(f"--until {until}: must lie between {FIRST_UNTIL} and {LAST_UNTIL}.")
    if not 20 <= accounts <= LARGEST:
        raise UsageError(f"--accounts {accounts}: must lie between 20 and {LARGEST:,}.")
    if not 2 <= months <= LONGEST_MONTHS:
        raise UsageError(f"--months {months}: must lie between 2 and {LONGEST_MONTHS}.")
    if world not in ("shared", "specific"):
        raise UsageError(f"--world {world}: unknown world (known: shared, specific).")


def _write_tables(data: Path, history: History, traps: bool, progress: Progress) -> dict[str, int]:
    subscriptions, contacts = build_subscriptions(history), draw_contacts(history)
    progress("writing accounts, subscriptions and what was said and sold")
    implementations = implementation_rows(history, subscriptions)
    tables: dict[str, Columns] = {
        "accounts": account_rows(history),
        "subscriptions": subscription_rows(history, subscriptions),
        "tickets": ticket_rows(history),
        "surveys": survey_rows(history),
        "health": health_rows(history),
        "contacts": contact_rows(history, contacts),
        "signals": signal_rows(history, _finished(implementations)),
        "problems": problem_rows(history),
        "opportunities": opportunity_rows(history, subscriptions, contacts),
        "implementations": implementations,
        "outreach": outreach_rows(history),
        "outcomes": outcome_rows(history),
    }
    if traps:
        tables = plant(tables, history)
    rows = {}
    for name, columns in tables.items():
        rows[name] = write_table(data / f"{name}.parquet", dirty(name, columns, history.seed))
    progress("writing usage")
    rows["usage"] = _write_usage(data, history, subscriptions, traps)
    with TableWriter(data / "feature_usage.parquet") as writer:
        for piece in feature_pieces(history, subscriptions):
            writer.write(piece)
        rows["feature_usage"] = writer.rows
    return rows


def _write_usage(data: Path, history: History, subscriptions: Subscriptions, traps: bool) -> int:
    with TableWriter(data / "usage.parquet") as writer:
        for period, piece in enumerate(usage_pieces(history, subscriptions)):
            writer.write(dirty("usage", piece, history.seed, period))
        for piece in provisioned(history, subscriptions) if traps else ():
            writer.write(piece)
        return writer.rows


def _finished(implementations: Columns) -> tuple[Integers, Integers, Integers]:
    """Account, product and day of the implementations that ended within the history."""
    account, product, end = (implementations[name] for name in ("account_id", "product_id", "end_on"))
    if not isinstance(account, Words) or not isinstance(product, Words) or isinstance(end, Words):
        raise TypeError("implementations: columns are not as written")
    ended = ~np.isnat(end)
    return account.codes[ended], product.codes[ended], end[ended].astype(np.int64)


def _write_truth(folder: Path, history: History, planted: list[dict[str, str]]) -> int:
    ids = numbered("A", len(history.population))
    with TableWriter(folder / "pairs.parquet") as writer:
        for point in range(1, history.clock.periods + 1):
            pairs = true_pairs(history, point)
            columns: dict[str, np.ndarray | Words] = {
                "account_id": Words(pairs.account, ids),
                "product_id": Words(pairs.product, history.products.ids),
                "as_of": dates(np.full(len(pairs.account), pairs.as_of)),
            }
            columns |= {f"p_{horizon}d": pairs.p[horizon] for horizon in HORIZONS_DAYS}
            writer.write(columns | {"uplift_90d": pairs.uplift_90d})
        rows = writer.rows
    (folder / "traps.json").write_text(json.dumps(planted, indent=2) + "\n", encoding="utf-8")
    return rows
