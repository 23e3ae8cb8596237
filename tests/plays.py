"""Plays, watchlist and in-flight rows as a night hands them to the writers: hand-made, every column filled.

`plays(3, account_name="=1+1")` changes a column for all rows; a list or tuple gives one value a row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from product_affinity.schema.lists import CONTEXT_COLUMNS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS

AS_OF = dt.date(2026, 6, 30)
ACCOUNTS = ("Upland Partners", "Crestline Energy", "Nordwind Logistik GmbH", "Łódź Media", "Aoki & Söhne", "Bay Foods")
PRODUCTS = (
    ("customer_data_platform", "Customer Data Platform"),
    ("knowledge_base", "Knowledge Base"),
    ("sales_crm", "Sales CRM"),
    ("analytics", "Analytics"),
)
OWNERS = (("U-001", "Ada Abel"), ("U-002", "Ben Brook"), (None, None))
GATES = ("G02", "R03", "C01", "G05", "R12")
_DATES = ("renewal_on", "problem_noted_on", "trigger_on", "best_by", "unblocked_on")
_TEXTS_OF_PROBLEMS = (
    "Marketing exports contacts to a spreadsheet every Monday and merges them by hand",
    None,
    "Agents answer the same five questions; write to jo.doe@example.com or +49 170 1234567",
)


def _play(i: int) -> dict[str, object]:
    product_id, product_name = PRODUCTS[i % len(PRODUCTS)]
    owner_id, owner_name = OWNERS[i % len(OWNERS)] if i % 7 else OWNERS[0]
    propensity = round(0.31 / (1 + 0.13 * i), 4)
    arr = 12_000.0 + 1_750 * (i % 9)
    base_rate = 0.021
    problem = _TEXTS_OF_PROBLEMS[i % 3]
    is_pitch = problem is not None
    return {
        "play_id": f"P-{i:016x}",
        "as_of": AS_OF,
        "owner_id": owner_id,
        "owner_name": owner_name,
        "rank": 0,
        "account_id": f"{i + 1:05d}",
        "account_name": ACCOUNTS[i % len(ACCOUNTS)] + (f" {i // len(ACCOUNTS) + 1}" if i >= len(ACCOUNTS) else ""),
        "product_id": product_id,
        "product_name": product_name,
        "owned_products": "Email Marketing, Support Desk",
        "play_type": "pitch" if is_pitch else "discover",
        "propensity": propensity,
        "one_in": int(np.ceil(1 / propensity)),
        "lift": round(propensity / base_rate, 2),
        "expected_arr_usd": arr,
        "value_usd": round(propensity * arr - 150, 2),
        "tier": i % 3 + 1,
        "readiness": "motion 6 of 6; scorecard 75 of 100" if is_pitch else "motion 4 of 6; scorecard 65–80 of 100",
        "trigger": "Documented problem" if is_pitch else "Limit nearly reached",
        "trigger_evidence": "noted on 2026-06-11 in a QBR" if is_pitch else "limit_share 0.93 on 2026-06-21",
        "reason_1": "41 of 60 seats active, up from 28 in March",
        "reason_2": f"used features next to {product_name} 12 times in 28 days",
        "reason_3": "team grew from 180 to 205 people in 180 days" if i % 2 else None,
        "caution": "last purchase 40 days ago" if i % 4 == 0 else None,
        "stakeholder_role": "Head of Marketing" if is_pitch else None,
        "next_step": "Confirm the problem with the Head of Marketing" if is_pitch else "Ask who owns reporting",
        "route": ("csm", "ae", "specialist")[i % 3],
        "talk_track": f"You told us about manual work. {product_name} takes that away; shall we look at it together?",
        "best_by": "2026-07-31",
        "change": ("new", "up", "down", "same")[i % 4],
        "days_on_list": 0 if i % 4 == 0 else 7 * (i % 5 + 1),
        "status": "" if i % 5 else "contacted",
        "outcome_reason": "",
        "outcome_note": "" if i % 5 else "Spoke on Tuesday",
        "segment": ("smb", "mid_market", "enterprise")[i % 3],
        "account_arr_usd": 64_000.0 + 8_000 * (i % 5),
        "renewal_on": "2026-10-15" if i % 4 else None,
        "health": 78.0 - i % 30,
        "health_change": float(i % 7 - 3),
        "open_urgent": float(i % 2),
        "open_urgent_oldest_days": float(i % 12) if i % 2 else np.nan,
        "problem_tag": "scattered_contacts" if is_pitch else None,
        "problem_statement": problem,
        "problem_source": "qbr" if is_pitch else None,
        "problem_noted_on": "2026-06-11" if is_pitch else None,
        "stakeholder_id": f"C-{i:04d}" if is_pitch else None,
        "stakeholder_name": f"Kim Person-{i}" if is_pitch else None,
        "quadrant": ("primary", "problem_first", "specialist")[i % 3],
        "anchor_product_id": "email_marketing",
        "rule_set": "motion",
        "route_reason": "primary quadrant below 25,000 USD: the CSM closes",
        "trigger_code": "T01" if is_pitch else "T11",
        "trigger_on": "2026-06-11" if is_pitch else "2026-06-21",
        "discovery_questions": "How do you merge contacts today?\nWho waits for that list?",
        "objections": "No budget: start with a 14-day trial.\nNo time: migration is free.",
        "reason_1_sayable": True,
        "reason_2_sayable": True,
        "reason_3_sayable": i % 2 == 0,
        "caution_sayable": False,
        "base_rate": base_rate,
        "winback": i % 11 == 10,
        "launch_estimate": i % 13 == 12,
        "crm_id": f"0015g00000{i:05d}AAA",
        "crm_url": f"https://crm.example.com/accounts/{i + 1:05d}",
    }


def _watched(i: int) -> dict[str, object]:
    product_id, product_name = PRODUCTS[(i + 1) % len(PRODUCTS)]
    owner_id, owner_name = OWNERS[i % len(OWNERS)]
    evidence, unblocked = (
        ("2 open P1 tickets, oldest 12 days", "they are closed"),
        ("tenure 4 of 9 months", "tenure reaches 9 months"),
        ("said not now on 2026-05-02", "the date they named has come"),
        ("renewal in 41 days with health 55", "the renewal is signed or health rises above 60"),
        ("unknown: no survey feed", "survey answers arrive"),
    )[i % 5]
    return {
        "account_id": f"W{i + 1:04d}",
        "product_id": product_id,
        "owner_id": owner_id,
        "propensity": round(0.2 / (1 + 0.1 * i), 4),
        "value_usd": round(2_500 / (1 + 0.1 * i), 2),
        "gate": GATES[i % len(GATES)],
        "evidence": evidence,
        "unblocked_by": unblocked,
        "unblocked_on": "2026-12-01" if i % 5 in (1, 2) else None,
        "account_name": f"Waiting {ACCOUNTS[i % len(ACCOUNTS)]}",
        "product_name": product_name,
        "owner_name": owner_name,
    }


def _flying(i: int) -> dict[str, object]:
    product_id, product_name = PRODUCTS[i % len(PRODUCTS)]
    owner_id, owner_name = OWNERS[i % len(OWNERS)]
    return {
        "account_id": f"F{i + 1:04d}",
        "product_id": product_id,
        "owner_id": owner_id,
        "account_name": f"Flying {ACCOUNTS[i % len(ACCOUNTS)]}",
        "product_name": product_name,
        "owner_name": owner_name,
        "evidence": "open opportunity: Knowledge Base, proposal since 2026-06-02",
    }


def _frame(rows: Sequence[dict[str, object]], columns: Sequence[str], changes: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    for name in columns:
        if name in _DATES:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
        elif name.endswith("_sayable") or name in ("winback", "launch_estimate"):
            frame[name] = frame[name].astype(bool)
        elif not rows or not any(isinstance(row[name], int | float | dt.date) for row in rows):
            frame[name] = frame[name].astype("str" if name not in _NUMBERS else "float64")
    return _changed(frame, changes)


def _changed(frame: pd.DataFrame, changes: dict[str, object]) -> pd.DataFrame:
    for name, value in changes.items():
        if name not in frame:
            raise ValueError(f"{name} is no column of these rows")
        values = list(value) if isinstance(value, list | tuple) else [value] * len(frame)
        kind = frame[name].dtype if _all_text(values) and frame[name].dtype != object else None
        frame[name] = pd.Series(values, index=frame.index, dtype=kind)
    return frame


_NUMBERS = (
    "rank",
    "propensity",
    "one_in",
    "lift",
    "expected_arr_usd",
    "value_usd",
    "tier",
    "days_on_list",
    "account_arr_usd",
    "health",
    "health_change",
    "open_urgent",
    "open_urgent_oldest_days",
    "base_rate",
)


def _all_text(values: Sequence[object]) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def plays(n: int = 12, **changes: object) -> pd.DataFrame:
    """Return `n` listed plays with `WORKLIST_COLUMNS + CONTEXT_COLUMNS`, sorted by owner and rank."""
    rows = sorted((_play(i) for i in range(n)), key=lambda row: str(row["owner_id"] or "_unassigned"))
    frame = _frame(rows, (*WORKLIST_COLUMNS, *CONTEXT_COLUMNS), {})
    frame["rank"] = frame.groupby("owner_id", dropna=False).cumcount() + 1
    return _changed(frame, changes)


def watchlist(n: int = 8, **changes: object) -> pd.DataFrame:
    """Return `n` rows held back, with `WATCHLIST_COLUMNS` and the names people read."""
    columns = (*WATCHLIST_COLUMNS, "account_name", "product_name", "owner_name")
    return _frame([_watched(i) for i in range(n)], columns, changes)


def in_flight(n: int = 3, **changes: object) -> pd.DataFrame:
    """Return `n` pairs somebody already works on."""
    columns = ("account_id", "product_id", "owner_id", "account_name", "product_name", "owner_name", "evidence")
    return _frame([_flying(i) for i in range(n)], columns, changes)
