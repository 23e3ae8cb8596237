"""What the first months of a product teach: who adopts it, not how many.

An offset says what the level of each product is, as far as its past tells. A product being launched has none, so its
rows adopt more or less often than their offset says, and a fit would learn the difference as the product's own: it
would count twice once the offset has caught up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from product_affinity.models.encoding import IntVector
from product_affinity.models.grouped_logistic import fit_levels
from product_affinity.models.rows import Rows, base_log_odds

#: prior precision of the level of a launched product at a date: next to nothing, for dates without an event
LEVEL_PRECISION = 0.1


def level_launches(rows: Rows, gap_days: int) -> Rows:
    """The same rows, their offset moved to the level observed at each date of a product's launch.

    Parameters
    ----------
    rows : Rows
        Training rows with an offset and dates.
    gap_days : int
        A product is being launched until the first label of it has closed, this many days from its first date.
        Products that are there on the first date of all are not launched.

    """
    at = launch_rows(rows, gap_days)
    if len(at) == 0:
        return rows
    launched = pd.DataFrame({"product": rows.codes, "day": rows.days}).iloc[at]
    group = launched.groupby(["product", "day"]).ngroup().to_numpy().astype(np.int64)
    start = rows.start[at] + base_log_odds(rows.target, rows.fit_weight, rows.start)
    levels = fit_levels(group, int(group.max()) + 1, rows.target[at], rows.fit_weight[at], start, LEVEL_PRECISION)
    offset = rows.offset.copy()
    offset[at] += levels[group]
    return replace(rows, offset=offset)


def launch_rows(rows: Rows, gap_days: int) -> IntVector:
    """Positions of rows of products that are being launched; none without dates."""
    if rows.days is None:
        return np.empty(0, dtype=np.int64)
    first = np.full(rows.codes.max() + 1, rows.days.max())
    np.minimum.at(first, rows.codes, rows.days)
    began = first[rows.codes]
    return np.flatnonzero((began > rows.days.min()) & (rows.days < began + gap_days))
