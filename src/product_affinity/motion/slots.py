"""Step 13: the slots that are free, the plays a product's implementations allow, and who gets them."""

from __future__ import annotations

import pandas as pd

from product_affinity.motion.routing import AE_POOL, SPECIALIST_POOL
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.routing import Routing

NO_LIMIT = 10**9


def free_slots(owners: pd.Series, in_flight: pd.DataFrame, routing: Routing, plays_per_owner: int) -> pd.Series:
    """Return the free slots of every pool: what is in flight uses its slot first.

    Parameters
    ----------
    owners : owner_key of every row.
    in_flight : account_id, slot_owner of what runs; an account uses one slot of a pool.
    routing : slots of account executives and specialists.
    plays_per_owner : slots of a customer-success manager.

    Returns
    -------
    Series of int
        By slot_owner, ≥ 0.
    """
    slots = pd.Series(plays_per_owner, index=pd.Index(owners.unique()), dtype="int64")
    for pool, plays in ((AE_POOL, routing.ae_plays), (SPECIALIST_POOL, routing.specialist_plays)):
        slots[pool] = NO_LIMIT if plays is None else plays
    used = in_flight.drop_duplicates(["account_id", "slot_owner"])["slot_owner"].value_counts()
    return (slots - used.reindex(slots.index).fillna(0)).clip(lower=0).astype("int64")


def product_caps(catalog: Catalog, starts: pd.DataFrame, plays_per_slot: float) -> pd.Series:
    """Return how many plays each product with limited implementation allows.

    ``(implementation_slots_per_month − starts this month) × plays_per_slot``, rounded down, at least 0.

    Parameters
    ----------
    catalog : products; those without implementation_slots_per_month have no cap and no line.
    starts : product_id, starts in the month of the as-of date.
    plays_per_slot : plays one free slot allows.
    """
    started = starts.set_index("product_id")["starts"]
    caps = {
        product.product_id: int(
            max(product.implementation_slots_per_month - started.get(product.product_id, 0), 0) * plays_per_slot
        )
        for product in catalog
        if product.implementation_slots_per_month is not None
    }
    return pd.Series(caps, dtype="int64")


def less(limits: pd.Series, used: pd.Series) -> pd.Series:
    """Return what is left of `limits` after one use for each value of `used`.

    >>> less(pd.Series({"o": 3, "p": 1}), pd.Series(["o", "o", "p"])).to_dict()
    {'o': 1, 'p': 0}
    """
    return (limits - used.value_counts().reindex(limits.index).fillna(0)).astype("int64")
