"""Small companies with a known law of adoption, as training tables."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from product_affinity.project.feature_columns import FeatureColumn, column

COLUMNS: tuple[FeatureColumn, ...] = (
    column("usage", "active_users", "mean", 28, unit="users", direction="up"),
    column("firmographic", "industry", unit="category"),
    column("commercial", "affinity_max", grain="pair", unit="share", direction="up"),
    column("commercial", "recent_rate", grain="pair", unit="share", role="offset"),
    column("usage", "adjacent_uses", "sum", 28, grain="pair", unit="uses", direction="up"),
)
PRODUCTS = {"crm": -3.0, "desk": -2.5, "mail": -2.0}
MONTH_ENDS = tuple(day.date() for day in pd.date_range("2024-07-31", "2025-12-31", freq="ME"))


def company(
    *,
    accounts: int = 300,
    as_ofs: tuple[dt.date, ...] = MONTH_ENDS,
    observed_until: str = "2025-12-31",
    seed: int = 0,
) -> pd.DataFrame:
    """One row an account, product and date; only adjacent use and affinity drive adoption."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [pd.to_datetime(list(as_ofs)), [f"A{i:04d}" for i in range(accounts)], PRODUCTS],
        names=["as_of", "account_id", "product_id"],
    ).to_frame(index=False)
    size = len(keys)
    uses, affinity = rng.gamma(1.0, 2.0, size), rng.uniform(0.02, 0.4, size)
    level = keys["product_id"].map(PRODUCTS).to_numpy(float)
    logit = level + 1.2 * (np.log1p(uses) - 1) + 4 * (affinity - 0.2)
    adopted = pd.Series(rng.random(size) < 1 / (1 + np.exp(-logit))).astype("Int8")
    is_open = keys["as_of"] + pd.Timedelta(days=97) > pd.Timestamp(observed_until)
    return keys[["account_id", "product_id", "as_of"]].assign(
        adopted=adopted.mask(is_open),
        true_p=1 / (1 + np.exp(-logit)),
        is_winback=rng.random(size) < 0.1,
        status=np.where(rng.random(size) < 0.1, "in_pipeline", "white_space"),
        segment=pd.Series(rng.choice(["smb", "enterprise", ""], size)).replace("", None),
        owner_id=rng.choice(["O1", "O2"], size),
        tenure_days=rng.uniform(0, 1500, size),
        expected_arr_usd=rng.lognormal(9, 0.5, size),
        usage_active_users_mean_28d=np.where(rng.random(size) < 0.2, np.nan, rng.gamma(2.0, 5.0, size)),
        firmographic_industry=pd.Series(rng.choice(["retail", "media", ""], size)).replace("", None),
        commercial_affinity_max=affinity,
        commercial_recent_rate=level + 0.3,
        usage_adjacent_uses_sum_28d=uses,
        scorecard_points=5.0 * rng.integers(0, 21, size),
    )
