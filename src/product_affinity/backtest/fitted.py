"""Fitted baselines as plain data: each scores from what JSON can hold, and says what every input weighed.

Contributions are additive in log-odds and exact: ``Σ contributions + baseline = log-odds of the prediction``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import permutations
from typing import Annotated, Any, Literal

import lightgbm as lgb
import numpy as np
import pandas as pd
from pydantic import Field, TypeAdapter, model_validator
from scipy.special import expit

from product_affinity.models.assembly import WINBACK
from product_affinity.models.gain import Matrix, Vector
from product_affinity.models.metrics import log_odds
from product_affinity.models.trees import load_booster
from product_affinity.project.reading import StrictModel

#: column of contributions that belongs to no input: the level, and what the product itself weighs
LEVEL = "baseline"
#: added to points × affinity before its logarithm, in shares: a pair without points is last, not infinitely far away
SCORECARD_FLOOR = 1e-3

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Levels = tuple[tuple[str, tuple[str, ...]], ...]
ScoreName = Literal["value", "log_level", "share", "points", "points_times_share", "points_times_log_odds"]


def _share_log_odds(share: Vector) -> Vector:
    # a share of exactly 0 or 1 would have infinite log-odds
    return log_odds(np.clip(share, 1e-6, 1 - 1e-6))


def _points_times(points: Vector, share: Vector) -> Vector:
    return np.asarray(np.log(points / 100 * share + SCORECARD_FLOOR), dtype=np.float64)


def _points_times_log_odds(points: Vector, score: Vector) -> Vector:
    return _points_times(points, np.asarray(expit(score), dtype=np.float64))


#: scores near to log-odds, or to the logarithm of a level, of one or two columns; NaN where unknown
SCORES: dict[ScoreName, Callable[..., Vector]] = {
    "value": lambda value: value,
    "log_level": lambda level: np.log1p(np.clip(level, 0, None)),
    "share": _share_log_odds,
    "points": lambda points: points / 100,
    "points_times_share": _points_times,
    "points_times_log_odds": _points_times_log_odds,
}


class FittedScore(StrictModel):
    """P(adopted) from one score: ``logit = intercept + slope · score``; an unknown score counts as the median.

    Attributes
    ----------
    score, columns : name in `SCORES`, and the columns it reads.
    references : the columns' medians in training, what contributions are relative to.
    median : of the score in training.
    intercept, slope : of the logistic fit, slope > 0.
    """

    kind: Literal["score"] = "score"
    score: ScoreName
    columns: tuple[str, ...] = Field(min_length=1, max_length=2)
    references: tuple[Finite, ...]
    median: Finite
    intercept: Finite
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _consistent(self) -> FittedScore:
        wanted = 2 if self.score.startswith("points_times") else 1
        if not len(self.columns) == len(self.references) == wanted:
            raise ValueError(f"columns: score {self.score} reads {wanted}, with a reference each")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns read."""
        return self.columns

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        score = self._filled(cells_of(rows, self.columns))
        return np.asarray(expit(self.intercept + self.slope * score), dtype=np.float64)

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what each column weighed, in log-odds against its reference: the Shapley value of so few players."""
        cells, parts = cells_of(rows, self.columns), np.zeros((len(self.columns), len(rows)))
        references = [np.full(len(rows), value) for value in self.references]
        orders = list(permutations(range(len(self.columns))))
        for order in orders:
            known = list(references)
            for at in order:
                before = self._filled(known)
                known[at] = cells[at]
                parts[at] += (self._filled(known) - before) / len(orders)
        shares = dict(zip(self.columns, self.slope * parts, strict=True))
        return pd.DataFrame({**shares, LEVEL: self.intercept + self.slope * self._filled(references)}, index=rows.index)

    def _filled(self, cells: Sequence[Vector]) -> Vector:
        score = SCORES[self.score](*cells)
        return np.where(np.isfinite(score), score, self.median)


class FittedRates(StrictModel):
    """One rate a product, the same for all accounts.

    Attributes
    ----------
    rates, overall : share of pairs that adopt (0 to 1), by product and for a product unseen.
    """

    kind: Literal["rates"] = "rates"
    rates: dict[str, Share]
    overall: Share

    @property
    def inputs(self) -> tuple[str, ...]:
        """No column: the product alone decides."""
        return ()

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        return rates_of(rows, self.rates, self.overall)

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the level alone: no input weighs anything."""
        return pd.DataFrame({LEVEL: _share_log_odds(self.predict(rows))}, index=rows.index)


class FittedLogistic(StrictModel):
    """Logistic regression on standardised numbers, missing indicators, levels and the product.

    Attributes
    ----------
    numbers, means, scales : columns, and how they are standardised.
    levels : (column, its levels), the product last; an unseen level is none of them.
    varies : design columns that differed in training: numbers, missing indicators, levels.
    coefficients : of those.
    intercept : corrected for the sampling of negatives.
    """

    kind: Literal["logistic"] = "logistic"
    numbers: tuple[str, ...]
    means: tuple[Finite, ...]
    scales: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
    levels: Levels
    varies: tuple[bool, ...]
    coefficients: tuple[Finite, ...]
    intercept: Finite

    @model_validator(mode="after")
    def _consistent(self) -> FittedLogistic:
        if not len(self.numbers) == len(self.means) == len(self.scales):
            raise ValueError("numbers: not one mean and one scale each")
        if len(self._sources) != len(self.varies) or sum(self.varies) != len(self.coefficients):
            raise ValueError("coefficients: not one a design column that varies")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns read, the product apart."""
        return (*self.numbers, *(name for name, _ in self.levels if name != "product_id"))

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        logit = self._design(rows) @ np.array(self.coefficients) + self.intercept
        return np.asarray(expit(logit), dtype=np.float64)

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what each column weighed, in log-odds against its mean; the product belongs to the level."""
        terms = self._design(rows) * np.array(self.coefficients)
        of_term = np.array(self._sources)[np.array(self.varies, dtype=bool)]
        shares = {name: terms[:, of_term == name].sum(axis=1) for name in self.inputs}
        level = self.intercept + terms[:, of_term == "product_id"].sum(axis=1)
        return pd.DataFrame({**shares, LEVEL: level}, index=rows.index)

    @property
    def _sources(self) -> list[str]:
        return [*self.numbers, *self.numbers, *(name for name, levels in self.levels for _ in levels)]

    def _design(self, rows: pd.DataFrame) -> Matrix:
        design = logistic_design(rows, self.numbers, np.array(self.means), np.array(self.scales), self.levels)
        return design[:, np.array(self.varies, dtype=bool)]


class FittedBoosters(StrictModel):
    """One LightGBM a product; a product whose training rows held one class has a rate instead.

    Attributes
    ----------
    columns : inputs by position.
    levels : (column, its levels) of the categories, coded by position; an unseen level is missing.
    models : product to a booster's text, or to a rate (0 to 1).
    overall : rate for a product unseen.
    """

    kind: Literal["boosters"] = "boosters"
    columns: tuple[str, ...]
    levels: Levels
    models: dict[str, str | Share]
    overall: Share

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns read."""
        return self.columns

    @cached_property
    def boosters(self) -> dict[str, lgb.Booster]:
        """Boosters by product, loaded after their structure was checked.

        Raises
        ------
        ValueError : a text is no booster of these columns.
        """
        texts = {product: model for product, model in self.models.items() if isinstance(model, str)}
        return {product: load_booster(text, len(self.columns)) for product, text in texts.items()}

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        matrix, found = coded_matrix(rows, self.columns, self.levels), self._rates(rows)
        for booster, at in self._parts(rows):
            found[at] = booster.predict(matrix[at], num_threads=1)
        return found

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return exact TreeSHAP values in log-odds; a product with a rate alone has its level only."""
        matrix = coded_matrix(rows, self.columns, self.levels)
        shares = np.zeros((len(rows), len(self.columns) + 1))
        shares[:, -1] = _share_log_odds(self._rates(rows))
        for booster, at in self._parts(rows):
            shares[at] = booster.predict(matrix[at], pred_contrib=True, num_threads=1)
        return pd.DataFrame(shares, index=rows.index, columns=[*self.columns, LEVEL])

    def _rates(self, rows: pd.DataFrame) -> Vector:
        rates = {product: model for product, model in self.models.items() if not isinstance(model, str)}
        return rates_of(rows, rates, self.overall)

    def _parts(self, rows: pd.DataFrame) -> Iterator[tuple[lgb.Booster, Any]]:
        for product, at in product_positions(rows).items():
            if product in self.boosters:
                yield self.boosters[product], at


Fitted = FittedScore | FittedRates | FittedLogistic | FittedBoosters
_KINDS: TypeAdapter[Fitted] = TypeAdapter(Annotated[Fitted, Field(discriminator="kind")])


def fitted_from(content: dict[str, Any]) -> Fitted:
    """Return a fitted baseline from what its `model_dump(mode="json")` gave.

    Raises
    ------
    ValueError : it is none, or a booster in it is broken.
    """
    fitted = _KINDS.validate_python(content)
    if isinstance(fitted, FittedBoosters):
        _ = fitted.boosters  # a broken text must be found when it is read, not in the middle of a night
    return fitted


def cells_of(rows: pd.DataFrame, columns: Sequence[str]) -> list[Vector]:
    """Return columns as float vectors."""
    return [rows[name].to_numpy(np.float64) for name in columns]


def rates_of(rows: pd.DataFrame, rates: Mapping[str, float], overall: float) -> Vector:
    """Return each row's rate by its product, the overall one for a product unseen."""
    return np.array([rates.get(str(product), overall) for product in rows["product_id"]], dtype=np.float64)


def product_positions(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the positions of each product's rows, products sorted."""
    groups = rows.groupby("product_id", sort=True).indices
    return {str(product): np.asarray(at) for product, at in groups.items()}


def logistic_design(
    rows: pd.DataFrame, numbers: Sequence[str], means: Vector, scales: Vector, levels: Levels
) -> Matrix:
    """Return standardised numbers, their missing indicators and an indicator a level, float64."""
    cells = _as_floats(rows, numbers).to_numpy(np.float64)
    missing = np.isnan(cells)
    blocks = [np.where(missing, 0.0, (cells - means) / scales), missing.astype(np.float64)]
    for name, known in levels:
        blocks.append((rows[name].astype(str).to_numpy()[:, None] == np.array(known, dtype=object)).astype(float))
    return np.hstack(blocks)


def coded_matrix(rows: pd.DataFrame, columns: Sequence[str], levels: Levels) -> Matrix:
    """Return the columns as float64, categories as codes and unseen levels as missing."""
    frame = _as_floats(rows, columns)
    coded = {
        name: pd.Categorical(rows[name].astype("string"), categories=list(known)).codes.astype(np.float64)
        for name, known in levels
    }
    numbers = frame.assign(**{name: np.where(codes < 0, np.nan, codes) for name, codes in coded.items()})
    return numbers.to_numpy(np.float64)


def _as_floats(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    frame = rows[list(names)]
    return frame.assign(**{WINBACK: frame[WINBACK].astype(np.float64)}) if WINBACK in frame else frame
