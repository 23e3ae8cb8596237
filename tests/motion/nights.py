"""A night made of a few pairs: what a test does not name is unremarkable."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from product_affinity.motion import History, decide
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.project.settings import CapacitySettings, MeasurementSettings
from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer, Readiness, SameWords
from tests.company import catalog

AS_OF = dt.date(2026, 6, 30)
PRODUCTS = ("crm", "mail", "desk")
DATES = ("since_on", "noted_on", "follow_up_on", "closed_on", "reached_on", "procurement_on")
COLUMNS = {
    "deals": ("account_id", "product_id", "since_on"),
    "plays": ("account_id", "product_id", "play_id", "status", "owner_id", "since_on"),
    "endings": ("account_id", "product_id", "status", "noted_on", "follow_up_on"),
    "closes": ("account_id", "closed_on", "product_id", "status"),
    "upsells": ("account_id", "product_id", "since_on"),
    "limits": ("account_id", "product_id", "limit_share", "reached_on"),
    "buyers": ("account_id", "sponsor_areas", "procurement_on"),
    "starts": ("product_id", "starts"),
}
EVIDENCE = ("quadrant", "anchor_product_id", "problem_id", "stakeholder_id", "stakeholder_area", "request_on")
STATES = {"pass": PASS, "fail": FAIL, "unknown": UNKNOWN, "confirm": UNKNOWN, "not asked": NOT_ASKED}


def days_ago(count):
    return AS_OF - dt.timedelta(days=count)


def pair(account="A", product="crm", value=100.0, **changes):
    """One scored pair with its evidence; `safety` and `ready` are states, see `STATES`."""
    row = {
        "account_id": account,
        "product_id": product,
        "status": "white_space",
        "segment": "smb",
        "tier": 2,
        "owner_id": "o",
        "do_not_contact": None,
        "name": account,
        "expected_arr_usd": 5000.0,
        "value_usd": value,
        "safety": "pass",
        "ready": "pass",
        "tenure_months": 30.0,
        **dict.fromkeys(EVIDENCE),
    }
    return row | {"owner_key": changes.get("owner_id", "o")} | changes


def history(**frames):
    """Frames of `History`, each a list of dicts; the rest empty."""
    built = {}
    for name, columns in COLUMNS.items():
        frame = pd.DataFrame(frames.get(name, []), columns=list(columns))
        for column in columns:
            kind = "datetime64[us]" if column in DATES else float if column == "limit_share" else object
            frame[column] = (
                pd.to_datetime(frame[column]).astype(kind) if column in DATES else frame[column].astype(kind)
            )
        built[name] = frame.astype({"starts": "int64"}) if name == "starts" else frame
    return History(**built)


def answer(code, states, step=5, scope="account"):
    state = np.array([STATES[name] for name in states], dtype=np.int8)
    confirm = np.array([name == "confirm" for name in states], dtype=bool)
    return Answer(code, f"rule {code}", scope, state, confirm, SameWords(f"{code} seen", f"{code} opens"), step)


def readiness_of(rows, waivable=True):
    states = rows["ready"].tolist()
    zeros = np.zeros(len(rows))
    return Readiness(
        rule_set=np.full(len(rows), "motion", dtype=object),
        answers=[answer("R01", states, step=8, scope="pair")],
        state=np.array([STATES[name] for name in states], dtype=np.int8),
        has_problem=rows["problem_id"].notna().to_numpy(),
        has_stakeholder=rows["stakeholder_id"].notna().to_numpy(),
        points_known=zeros,
        points_possible=zeros,
        waivable=np.array([waivable]),
        measured=[],
    )


def night(
    *pairs,
    sequencing=None,
    routing=None,
    plays=10,
    bonus=0.25,
    mode="off",
    share=0.5,
    waivable=True,
    products=None,
    past=None,
    index=None,
    **options,
):
    """Decide a night; `past` is a `history`, `sequencing` and `routing` are keys of the files."""
    rows = pd.DataFrame(list(pairs) or [pair()], index=index).iloc[: len(pairs)]
    rows = rows.astype({"segment": "str", "do_not_contact": "object"})
    evidence = rows[[*EVIDENCE, "tenure_months"]].reset_index(drop=True)
    evidence["customer_since_on"] = pd.Timestamp("2024-01-15")
    return decide(
        rows,
        evidence=evidence,
        gates=[answer("G02", rows["safety"])],
        readiness=readiness_of(rows, waivable),
        history=past or history(),
        catalog=catalog(*PRODUCTS, **(products or {})),
        sequencing=Sequencing.model_validate(sequencing or {}),
        routing=Routing.model_validate(routing or {}),
        capacity=CapacitySettings(plays_per_owner=plays, incumbent_bonus=bonus),
        measurement=MeasurementSettings(mode=mode, held_back_share=share),
        as_of=AS_OF,
        **options,
    )


def dispositions(*pairs, **options):
    return night(*pairs, **options).decided["disposition"].tolist()


def gates_of(*pairs, **options):
    """`first_gate` of each pair, None where it has none."""
    first = night(*pairs, **options).decided["first_gate"]
    return first.astype(object).where(first.notna(), None).tolist()
