"""What is written: schema, determinism, white space by a slow oracle, awkward rows."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from product_affinity.contracts.facts import SQL_TYPES, Facts, open_engine
from product_affinity.demo import write_demo
from product_affinity.errors import UsageError
from product_affinity.project.catalog import Catalog
from product_affinity.project.reading import read_yaml, validate
from product_affinity.schema import KNOWN_AT, TABLES

from .conftest import TEMPLATE, UNTIL

ENGINE_TYPES = {
    "id": {"VARCHAR"},
    "text": {"VARCHAR"},
    "date": {"DATE"},
    "timestamp": {"TIMESTAMP"},
    "integer": {"BIGINT", "INTEGER"},
    "number": {"DOUBLE", "BIGINT", "INTEGER"},
    "boolean": {"BOOLEAN"},
}


def read(folder: Path, table: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "data" / f"{table}.parquet")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_source_table_is_there_with_the_columns_of_the_schema(demo):
    assert {path.stem for path in (demo / "data").iterdir()} == set(TABLES)
    engine = open_engine(threads=1)
    for name, table in TABLES.items():
        path = str(demo / "data" / f"{name}.parquet")
        described = dict(row[:2] for row in engine.execute("describe from read_parquet(?)", [path]).fetchall())
        known = {column.name: column.kind for column in table.columns} | {KNOWN_AT: "timestamp"}
        assert set(described) <= set(known), name
        assert {column.name for column in table.columns if column.required} <= set(described), name
        for column, kind in described.items():
            assert kind in ENGINE_TYPES[known[column]], (name, column, kind)


def test_the_frames_become_facts_after_dropping_faulty_rows(small_demo):
    frames = {name: clean(small_demo, name) for name in ("accounts", "subscriptions", "tickets", "problems", "usage")}
    facts = Facts.from_frames(frames)
    for name, frame in frames.items():
        (count,) = facts.connection.execute(f"select count(*) from facts.{name}").fetchone()
        assert count == len(frame) > 0
    assert set(SQL_TYPES) == set(ENGINE_TYPES)


def test_same_arguments_and_seed_write_the_same_bytes(tmp_path):
    arguments = {
        "template": TEMPLATE,
        "accounts": 80,
        "months": 5,
        "until": dt.date(2025, 3, 31),
        "traps": True,
    }
    for name, seed in (("one", 9), ("two", 9), ("other", 10)):
        write_demo(tmp_path / name, seed=seed, **arguments)
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert len(one) == len(TABLES) + 3
    assert all(one[name] != other[name] for name in one if name.startswith("data"))


def test_no_fact_lies_on_or_after_the_end(demo):
    for name, table in TABLES.items():
        frame = read(demo, name)
        for column in {table.event, KNOWN_AT, *(c.name for c in table.columns if c.closed_by == c.name)} - {None}:
            if column in frame and column != "follow_up_on":
                assert pd.to_datetime(frame[column]).max() < pd.Timestamp(UNTIL), (name, column)


def test_keys_repeat_only_as_exact_duplicates(demo):
    for name, table in TABLES.items():
        frame = clean(demo, name)
        key = [column for column in (*table.key, KNOWN_AT) if column in frame]
        assert not frame.duplicated(key).any(), name


def clean(folder: Path, table: str) -> pd.DataFrame:
    """Rows that satisfy their contract, found by rules written down here again."""
    frame = read(folder, table)
    if table in ("usage", "health"):
        frame = frame[pd.to_datetime(frame["date"]) > pd.Timestamp(2018, 1, 1)]
    if table == "subscriptions":
        starts, ends = pd.to_datetime(frame["start_on"]), pd.to_datetime(frame["end_on"])
        frame = frame[~(ends < starts) & ~(frame["arr_usd"] < 0)]
    if "account_id" in frame:
        frame = frame[frame["account_id"] != "A-UNKNOWN"]
    if "product_id" in frame:
        frame = frame[frame["product_id"] != "crm_classic"]
    if table == "surveys":
        frame = frame[frame["score"] <= 10]
    return frame.drop_duplicates()


def latest(frame: pd.DataFrame, key: list[str], as_of: pd.Timestamp) -> list[dict]:
    """Last version of each key known before the date."""
    seen: dict[tuple, dict] = {}
    for row in frame.sort_values(KNOWN_AT).to_dict("records"):
        if row[KNOWN_AT].normalize() < as_of:
            seen[tuple(row[column] for column in key)] = row
    return list(seen.values())


def expected_pairs(folder: Path, catalog: Catalog, as_of: pd.Timestamp) -> set[tuple[str, str]]:
    """White space by the definition, one account and product after the other."""
    subs: dict[str, list[dict]] = {}
    for row in latest(clean(folder, "subscriptions"), ["account_id", "product_id", "start_on"], as_of):
        if pd.Timestamp(row["start_on"]) < as_of and not row["is_trial"]:
            subs.setdefault(row["account_id"], []).append(row)
    employees = {}
    for row in clean(folder, "accounts").sort_values(["valid_from", KNOWN_AT]).to_dict("records"):
        if pd.Timestamp(row["valid_from"]) < as_of and row[KNOWN_AT].normalize() < as_of:
            employees[row["account_id"]] = row["employees"]
    pairs = set()
    for account, bought in subs.items():
        running = {r["product_id"] for r in bought if pd.isna(r["end_on"]) or pd.Timestamp(r["end_on"]) >= as_of}
        paying = {r["product_id"] for r in bought if not r["one_time"]} & running
        size = employees[account]
        segment = "smb" if size < 200 else "mid_market" if size <= 1000 else "enterprise"
        for product in catalog if paying else ():
            ended = [pd.Timestamp(r["end_on"]) for r in bought if r["product_id"] == product.product_id]
            if (
                product.product_id not in running
                and (product.launched_on is None or pd.Timestamp(product.launched_on) <= as_of)
                and (not product.sellable_to.segment or segment in product.sellable_to.segment)
                and set(product.prerequisites) <= running
                and not set(product.conflicts) & running
                and all((as_of - end).days >= 90 for end in ended)
            ):
                pairs.add((account, product.product_id))
    return pairs


def test_truth_covers_exactly_the_white_space_of_active_customers(small_demo):
    path = small_demo / "models" / "catalog.yml"
    catalog = validate(Catalog, read_yaml(path), str(path))
    truth = pd.read_parquet(small_demo / "truth" / "pairs.parquet")
    truth["as_of"] = pd.to_datetime(truth["as_of"])
    assert list(truth.columns) == [
        "account_id",
        "product_id",
        "as_of",
        "p_30d",
        "p_90d",
        "p_180d",
        "uplift_90d",
    ]
    dates = sorted(truth["as_of"].unique())
    month_ends = [pd.Timestamp(2025, 7, 31) + pd.offsets.MonthEnd(n) for n in range(11)]
    assert dates == [*month_ends, pd.Timestamp(2026, 6, 17)]
    for as_of, part in truth.groupby("as_of"):
        pairs = list(zip(part["account_id"], part["product_id"], strict=True))
        assert len(set(pairs)) == len(pairs)
        assert set(pairs) == expected_pairs(small_demo, catalog, as_of), as_of


def test_winbacks_trials_and_one_time_purchases_occur(demo):
    subs = clean(demo, "subscriptions")
    assert subs["is_trial"].any()
    assert subs["one_time"].any()
    bought = subs[~subs["is_trial"]].drop_duplicates(["account_id", "product_id", "start_on"])
    assert bought.duplicated(["account_id", "product_id"]).any(), "a product dropped and bought again"
    versions = subs[~subs["is_trial"]].groupby(["account_id", "product_id", "start_on"])["seats"].nunique()
    assert (versions > 1).any(), "an upsell"


def test_a_repurchase_follows_at_least_ninety_days_after_the_end(demo):
    subs = clean(demo, "subscriptions").query("not is_trial")
    periods = subs.groupby(["account_id", "product_id", "start_on"])["end_on"].max().reset_index()
    periods = periods.sort_values(["account_id", "product_id", "start_on"])
    previous = periods.groupby(["account_id", "product_id"])["end_on"].shift()
    again = previous.notna()
    gaps = pd.to_datetime(periods.loc[again, "start_on"]) - pd.to_datetime(previous[again])
    assert (gaps.dt.days >= 90).all()


def test_late_rows_outages_and_weekends_show_in_usage(demo):
    usage = clean(demo, "usage")
    day = pd.to_datetime(usage["date"])
    delay = (usage[KNOWN_AT].dt.normalize() - day).dt.days
    assert delay.between(0, 6).all()
    assert 0.005 < (delay > 0).mean() < 0.1
    assert (delay.groupby(day).min() > 0).any(), "a day all of whose rows came late"
    by_day = usage.groupby(day).size()
    missing = pd.date_range(day.min(), day.max()).difference(by_day.index)
    assert len(missing) >= 2, "an outage"
    weekday = usage.groupby(day.dt.day_of_week)["active_users"].sum()
    assert weekday[5:].max() < 0.3 * weekday[:5].min()


def test_safety_gates_have_something_to_find(demo):
    tickets = read(demo, "tickets")
    opened = tickets[tickets["closed_at"].isna()]
    assert opened["priority"].isin(["P1", "P2"]).any()
    assert tickets["escalated"].any()
    opportunities = read(demo, "opportunities").sort_values(KNOWN_AT).drop_duplicates("opportunity_id", keep="last")
    cross = opportunities[opportunities["kind"] == "cross_sell"]
    assert cross["result"].isna().any()
    assert (cross["result"] == "lost").any()
    assert cross.loc[cross["result"] == "lost", "lost_reason"].notna().all()
    assert read(demo, "implementations")["end_on"].isna().any()
    assert read(demo, "accounts")["do_not_contact"].any()
    assert read(demo, "accounts")["owner_id"].isna().any()


def test_arms_are_randomised_with_the_stated_probability(demo):
    plays = read(demo, "outreach")
    treated = plays["arm"] == "treated"
    assert set(plays["arm"]) == {"treated", "held_back"}
    assert plays.loc[treated, "arm_probability"].eq(0.7).all()
    assert treated.mean() == pytest.approx(0.7, abs=4 * (0.21 / len(plays)) ** 0.5)
    outcomes = read(demo, "outcomes")
    assert set(outcomes["play_id"]) <= set(plays.loc[treated, "play_id"]), "a held-back play has no outcome"
    assert {"accepted", "won", "not_now"} <= set(outcomes["status"])


def test_faulty_rows_are_few_and_of_every_declared_kind(demo):
    for table in TABLES:
        frame = read(demo, table)
        faulty = len(frame) - len(clean(demo, table))
        assert faulty / len(frame) < 0.02, table
    subs = read(demo, "subscriptions")
    assert (subs["product_id"] == "crm_classic").any()
    assert (pd.to_datetime(subs["end_on"]) < pd.to_datetime(subs["start_on"])).any()
    assert (read(demo, "usage")["active_users"] < 0).any()
    assert (read(demo, "surveys")["score"] > 10).any()
    assert read(demo, "usage").duplicated().any()


def test_the_cross_sell_rate_is_that_of_a_mature_vendor(tmp_path):
    write_demo(tmp_path, template=TEMPLATE, accounts=600)
    subs = clean(tmp_path, "subscriptions")
    subs = subs[~subs["is_trial"]].sort_values(KNOWN_AT)
    last = subs.drop_duplicates(["account_id", "product_id", "start_on"], keep="last")
    owned = last[last["end_on"].isna()].groupby("account_id")["product_id"].nunique()
    assert 0.25 < (owned >= 2).mean() < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accounts": 3}, "--accounts 3: must lie between 20 and 1,000,000."),
        ({"months": 1}, "--months 1: must lie between 2 and 120."),
        ({"world": "other"}, "--world other: unknown world (known: shared, specific)."),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, arguments, message):
    with pytest.raises(UsageError) as caught:
        write_demo(tmp_path, template=TEMPLATE, **arguments)
    assert str(caught.value) == message
    assert not any(tmp_path.iterdir())
