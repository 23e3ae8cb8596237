"""Step 14: the hold-back, drawn by account and half-year, so that the effect of the lists can be measured."""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.motion.alignment import Flags
from product_affinity.motion.slots import less
from product_affinity.project.settings import MeasurementSettings
from product_affinity.value import fill_capacity

DRAW_COLUMNS = ("account_id", "product_id", "epoch", "arm", "arm_probability")


def epoch_of(as_of: dt.date) -> str:
    """Name of the fixed two quarters a date lies in; an account keeps its arm for that long.

    >>> epoch_of(dt.date(2026, 6, 30)), epoch_of(dt.date(2026, 7, 1))
    ('2026-H1', '2026-H2')
    """
    return f"{as_of.year}-H{1 if as_of.month <= 6 else 2}"


def lot(salt: str, account_id: str, epoch: str) -> float:
    """Number in [0, 1) that decides an account's arm: uniform over accounts, always the same for one."""
    name = "\x1f".join((salt, account_id, epoch))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") / 2**56


def fill_and_hold(
    contenders: pd.DataFrame,
    slots: pd.Series,
    caps: pd.Series,
    measurement: MeasurementSettings,
    as_of: dt.date,
    drawn: pd.DataFrame | None = None,
) -> tuple[Flags, Flags, pd.DataFrame]:
    """Fill the slots, hold back the drawn accounts, and give the freed slots to the next in line.

    Drawn are accounts of *new* rows within capacity; requests and rows of the last list are exempt. Who moves up
    into a freed slot is there because of the draw, so the row is of arm `outside` and tells nothing of the effect;
    accounts whose lot is to be held back do not move up.

    Parameters
    ----------
    contenders : account_id, product_id, slot_owner, value_usd (with the incumbent bonus), is_request, incumbent.
    slots, caps : free slots by slot_owner, plays by product_id.
    measurement : mode, share and salt.
    as_of : the night's date.
    drawn : arms of earlier nights (account_id, epoch, arm); an account that was `outside` in this epoch stays so.

    Returns
    -------
    is_listed, is_held : by position of `contenders`.
    draws : `DRAW_COLUMNS`, sorted by account_id; one line for each new row within capacity or moved up.
    """
    chosen = fill_capacity(contenders, slots=slots, caps=caps).to_numpy()
    if measurement.mode == "off":
        return chosen, np.zeros(len(chosen), dtype=bool), _draws(contenders, {}, epoch_of(as_of))
    epoch = epoch_of(as_of)
    exempt = (contenders["is_request"] | contenders["incumbent"]).to_numpy(dtype=bool)
    outside = _outside(contenders["account_id"], drawn, epoch)
    lots = np.array([lot(measurement.salt, account, epoch) for account in contenders["account_id"]])
    share = measurement.held_back_share
    unlucky = (lots < share) & ~outside
    new = chosen & ~exempt
    arms = {
        ("held_back", share): new & unlucky,
        ("treated", 1 - share): new & ~unlucky & ~outside,
        ("outside", 1.0): new & outside,
    }
    is_held = new & unlucky if measurement.mode == "on" else np.zeros(len(chosen), dtype=bool)
    moved_up = _move_up(contenders, chosen, is_held, unlucky & ~exempt, slots, caps)
    arms["outside", 1.0] |= moved_up & ~exempt
    return chosen & ~is_held | moved_up, is_held, _draws(contenders, arms, epoch)


def _outside(accounts: pd.Series, drawn: pd.DataFrame | None, epoch: str) -> Flags:
    if drawn is None or drawn.empty:
        return np.zeros(len(accounts), dtype=bool)
    marked = drawn.loc[drawn["epoch"].eq(epoch) & drawn["arm"].eq("outside"), "account_id"]
    found: Flags = accounts.isin(marked).to_numpy()
    return found


def _move_up(
    contenders: pd.DataFrame, chosen: Flags, is_held: Flags, unlucky: Flags, slots: pd.Series, caps: pd.Series
) -> Flags:
    """Rows that get a slot freed by those held back."""
    moved_up = np.zeros(len(chosen), dtype=bool)
    if not is_held.any():
        return moved_up
    used = contenders[chosen & ~is_held]
    accounts = contenders["account_id"]
    open_rows = np.flatnonzero(~accounts.isin(accounts[chosen]).to_numpy() & ~unlucky)
    left = less(slots, used["slot_owner"])
    left_caps = less(caps, used["product_id"])
    moved_up[open_rows] = fill_capacity(contenders.iloc[open_rows], slots=left, caps=left_caps).to_numpy()
    return moved_up


def _draws(contenders: pd.DataFrame, arms: dict[tuple[str, float], npt.NDArray[np.bool_]], epoch: str) -> pd.DataFrame:
    keys = ["account_id", "product_id"]
    lines = [
        contenders.loc[rows, keys].assign(epoch=epoch, arm=arm, arm_probability=probability)
        for (arm, probability), rows in arms.items()
    ]
    empty = contenders.iloc[:0][keys].assign(epoch="", arm="", arm_probability=np.array([], dtype=float))
    draws = pd.concat([empty, *(line for line in lines if len(line))])
    return draws.sort_values(keys, kind="stable", ignore_index=True)[list(DRAW_COLUMNS)]
