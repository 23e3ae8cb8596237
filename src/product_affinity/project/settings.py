"""`affinity.toml`: where the data is, which columns map to ours, horizon, time zone, currency, capacity."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.reading import StrictModel
from product_affinity.schema import TABLES

# What an account owns, and who is there, is told by rows of any age: leaving out old ones would make it untrue.
SINCE_TABLES = tuple(
    table.name
    for table in TABLES.values()
    if not table.required and any(column.required for column in table.columns if column.name == table.event)
)


def _check_tables(names: Iterable[str]) -> None:
    for name in names:
        if name not in TABLES:
            raise ValueError(f"{name} is no source table{did_you_mean(name, TABLES)}")


class ProjectSettings(StrictModel):
    """`[project]`: who we are and which day it is where we are."""

    name: str = "Unnamed company"
    timezone: str = "UTC"
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError(f"unknown time zone{did_you_mean(value, sorted(zoneinfo.available_timezones()))}")
        return value


class TimeSettings(StrictModel):
    """`[time]`: as-of dates, horizon and the purged folds.

    Attributes
    ----------
    as_ofs : month ends, weeks counted back from the run's as-of date, or dates.
    horizon_days, more_horizons_days : length of the label window; further horizons, 30 days or more, are published
        beside it at its ranking.
    maturity_days : days after a horizon's end until its label counts.
    folds, fold_step_days : rolling test windows and the days between them (default: the horizon).
    warmup_days, history_days : days of history before the first as-of date, and its greatest age.
    """

    as_ofs: Literal["month_end", "weekly"] | tuple[dt.date, ...] = "month_end"
    horizon_days: int = Field(default=90, ge=1, le=730)
    more_horizons_days: tuple[Annotated[int, Field(ge=30, le=730)], ...] = ()
    maturity_days: int = Field(default=7, ge=0, le=365)
    folds: int = Field(default=4, ge=1, le=12)
    fold_step_days: int | None = Field(default=None, ge=1)
    warmup_days: int = Field(default=90, ge=0)
    history_days: int = Field(default=1096, ge=1)


class TableSettings(StrictModel):
    """`[sources.tables.X]`: where our table X comes from and how its columns map.

    Attributes
    ----------
    name : name of the raw table (file stem, or table of the database); default X.
    query : a select over the raw tables, for what renaming cannot reach.
    columns : our column name to the raw column name.
    since : first local day that is read; rows whose event lies before it are left out, on a server by the server.
    lag_days : days between a fact and its arrival, where the table has no `known_at`.
    date_format : strptime format, or formats tried in order, of dates and timestamps written as text;
        default ISO 8601.
    """

    name: str | None = None
    query: str | None = None
    columns: dict[str, str] = {}
    since: dt.date | None = Field(default=None, ge=dt.date(1970, 1, 1))
    lag_days: int = Field(default=0, ge=0, le=365)
    date_format: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> TableSettings:
        if self.name is not None and self.query is not None:
            raise ValueError("give name or query, not both: a query names its own tables")
        return self

    @field_validator("date_format", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class SourceSettings(StrictModel):
    """`[sources]`: a folder of Parquet and CSV files, or a DuckDB file."""

    path: str = "data"
    tables: dict[str, TableSettings] = {}

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, value: dict[str, TableSettings]) -> dict[str, TableSettings]:
        _check_tables(value)
        for name, table in value.items():
            if table.since is not None and name not in SINCE_TABLES:
                raise ValueError(
                    f"{name}: takes no since, as its rows of any age say what is true today; it is for "
                    f"{', '.join(SINCE_TABLES)}"
                )
        return value


class ContractSettings(StrictModel):
    """`[contracts]`: how much bad input a run tolerates and how old the newest row may be.

    Attributes
    ----------
    tolerated_share : share of a table's rows (0 to 1) that may be quarantined before the run stops.
    tolerated_shares : the same per table, for sources known to be dirty.
    fresh_within_days : per table, days between its newest row and the as-of date before the run stops.
    """

    tolerated_share: float = Field(default=0.05, ge=0, le=1)
    tolerated_shares: dict[str, float] = {}
    fresh_within_days: dict[str, int] = {}

    @field_validator("tolerated_shares")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        for name, share in value.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: {share:g} is no share between 0 and 1")
        return value

    @field_validator("fresh_within_days")
    @classmethod
    def _days(cls, value: dict[str, int]) -> dict[str, int]:
        for name, days in value.items():
            if days < 0:
                raise ValueError(f"{name}: {days} days is negative")
        return value

    @field_validator("tolerated_shares", "fresh_within_days")
    @classmethod
    def _known_tables(cls, value: dict[str, float]) -> dict[str, float]:
        _check_tables(value)
        return value


class SegmentSettings(StrictModel):
    """`[segments]`: bounds between segments (employees) and tiers (account ARR)."""

    mid_market_from_employees: int = 200
    enterprise_above_employees: int = 1000
    tier_1_above_usd: float = 100_000
    tier_2_from_usd: float = 25_000


class TrackingSettings(StrictModel):
    """`[tracking]`: the MLflow store; None for the project's own at `var/mlflow`."""

    uri: str | None = None


class CapacitySettings(StrictModel):
    """`[capacity]`: how many plays a team can work, what one costs, and how much a row gains by being listed.

    Attributes
    ----------
    plays_per_owner : slots an owner has in a period.
    play_cost_usd : what one play costs; a pair worth less is below the value floor.
    incumbent_bonus : share of its value (0 to 1) that a row of the last list is ahead of a new one, so that
        lists do not flicker.
    """

    plays_per_owner: int = Field(default=25, ge=1)
    play_cost_usd: float = Field(default=150.0, ge=0)
    incumbent_bonus: float = Field(default=0.5, ge=0, le=1)


class MeasurementSettings(StrictModel):
    """`[measurement]`: the hold-back that makes the effect of the lists measurable.

    Attributes
    ----------
    mode : `off` (no hold-back), `on`, or `measure_only` (arms are drawn and logged, every row is listed).
    held_back_share : probability (0 to 0.5) that a new row within capacity is held back.
    salt : secret of the draw; another salt draws other arms.
    """

    mode: Literal["off", "on", "measure_only"] = "off"
    held_back_share: float = Field(default=0.1, ge=0, le=0.5)
    salt: str = "product-affinity"


class ListSettings(StrictModel):
    """`[lists]`: what leaves the house in the files people and systems read.

    Attributes
    ----------
    problem_text_in_crm : whether CRM files carry the problem's statement, which is personal data.
    """

    problem_text_in_crm: bool = False


class WarehouseSettings(StrictModel):
    """`[warehouse]`: an optional PostgreSQL table that every night brings to the state of the worklist.

    Attributes
    ----------
    uri : `postgresql://user@host/database` without a password, or None for no table.
    table : `table` or `schema.table`.
    """

    uri: str | None = None
    table: str = "product_affinity_plays"


class Settings(StrictModel):
    """Everything in `affinity.toml`."""

    project: ProjectSettings = ProjectSettings()
    time: TimeSettings = TimeSettings()
    sources: SourceSettings = SourceSettings()
    contracts: ContractSettings = ContractSettings()
    segments: SegmentSettings = SegmentSettings()
    capacity: CapacitySettings = CapacitySettings()
    measurement: MeasurementSettings = MeasurementSettings()
    lists: ListSettings = ListSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    tracking: TrackingSettings = TrackingSettings()
