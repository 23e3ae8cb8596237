"""Rows of the tables that reports read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.rules.criteria import Answer, SameWords
from tests.company import Row


def play(play_id: str, account_id: str, product: str, decided: str, arm: str = "treated", **more: object) -> Row:
    row = {
        "play_id": play_id,
        "account_id": account_id,
        "product_id": product,
        "decided_at": f"{decided} 10:00:00",
        "arm": arm,
        "arm_probability": 0.8 if arm == "treated" else 0.2,
    }
    return "outreach", row | more


def outcome(play_id: str | None, status: str, noted: str, **more: object) -> Row:
    return "outcomes", {"play_id": play_id, "status": status, "noted_at": f"{noted} 12:00:00", **more}


def pair_rows(*rows: tuple[str, str, str], is_winback: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["account_id", "product_id", "as_of"])
    return frame.assign(as_of=pd.to_datetime(frame["as_of"]).astype("datetime64[us]"), is_winback=is_winback)


def answer(code: str, states: list[int] | np.ndarray) -> Answer:
    state = np.asarray(states, dtype=np.int8)
    return Answer(code, f"about {code}", "account", state, np.zeros(len(state), dtype=bool), SameWords("seen", "wait"))
