"""Gather what a promotion is decided on: the challenger's test predictions beside the champion's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from joblib import Parallel, delayed

from product_affinity.models.assembly import WINBACK
from product_affinity.pipeline.prepare import Progress
from product_affinity.pipeline.recipe import Recipe
from product_affinity.pipeline.table import PairTable
from product_affinity.registry.evidence import (
    BUNDLE,
    CHALLENGER,
    CHAMPION,
    KEYS,
    ROW_COLUMNS,
    Comparison,
    Evidence,
    Sides,
)
from product_affinity.registry.gains import gain_shares

if TYPE_CHECKING:
    from product_affinity.registry.bundle import Bundle

MOST_NAMED = 3


@dataclass(frozen=True)
class Trial:
    """A finished backtest of the challenger's recipe.

    Attributes
    ----------
    predictions : test rows with one column of probabilities a model.
    baselines : columns of the baselines.
    """

    predictions: pd.DataFrame
    baselines: tuple[str, ...]


def gather_evidence(
    recipe: Recipe,
    table: PairTable,
    trial: Trial,
    challenger: Bundle,
    champion: Bundle | None,
    *,
    min_adoptions: int,
    jobs: int,
    progress: Progress,
) -> Evidence:
    """Score the test rows by both bundles, and the champion's recipe at each fold where that is another one.

    Parameters
    ----------
    recipe : of the challenger.
    table : training table, today's date included where it is a training date.
    trial : backtest of the recipe on this table.
    challenger, champion : bundles; champion None where there is none.
    min_adoptions : below which months after the champion's training are too few to judge it by.
    jobs : folds fitted at once.
    progress : called with one line a step.
    """
    tested = trial.predictions[[*ROW_COLUMNS, CHALLENGER, *trial.baselines]]
    numbered = table.rows[list(KEYS)].assign(row=range(len(table.rows)))
    rows = table.rows.iloc[tested.merge(numbered, on=list(KEYS), how="left", validate="m:1")["row"]]
    rows = rows.set_index(tested.index)
    predictions = tested.assign(**{BUNDLE: recipe.score(challenger.classifiers[recipe.horizon_days], rows)})
    rival = None if champion is None else Rival(recipe, challenger.manifest.families, champion)
    how = "no_champion" if rival is None else rival.comparison(predictions, min_adoptions)
    if rival is not None and how != "impossible":
        progress(f"comparing with champion {rival.champion.version} ({how.replace('_', ' ')})")
        predictions[CHAMPION] = rival.predictions(how, table.rows, rows, predictions, jobs=jobs)
    sides = Sides(
        challenger=challenger.version,
        trained_as_of=challenger.manifest.trained_as_of,
        champion=champion.version if champion else None,
        champion_trained_as_of=champion.manifest.trained_as_of if champion else None,
        horizon_days=recipe.horizon_days,
        comparison=how,
        columns_gone=rival.columns_gone if rival else (),
        changes=rival.changes if rival else (),
        champion_ap_over_base_rate=ap_over_base_rate(champion.metrics) if champion else None,
        baselines=trial.baselines,
        gain_shares=gain_shares(challenger.classifiers[recipe.horizon_days]),
        unproven=tuple(name for found in table.unproven if not found.withheld for name in found.columns),
    )
    return Evidence(sides, predictions, _ranking(recipe, table, challenger, rival))


class Rival:
    """The champion as far as it can be compared on today's table.

    Parameters
    ----------
    recipe : of the challenger.
    families : the challenger's signal families with the fingerprints of their definitions.
    champion : the bundle that scores.
    """

    def __init__(self, recipe: Recipe, families: Mapping[str, str], champion: Bundle) -> None:
        then = champion.manifest.families
        self._edited = sorted(name for name in families if name in then and families[name] != then[name])
        self._recipe, self.champion = recipe, champion
        ours, theirs = {column.name for column in recipe.columns} | {WINBACK}, set(champion.manifest.column_names)
        self.columns_gone, self._added = tuple(sorted(theirs - ours)), sorted(ours - theirs)
        self._kept = tuple(column for column in recipe.columns if column.name in theirs)
        self._has_horizon = recipe.horizon_days in champion.classifiers

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs between the two recipes, in words."""
        said = [] if self._has_horizon else [f"the champion has no model of {self._recipe.horizon_days} days"]
        for names, whose in ((self.columns_gone, "champion"), (self._added, "challenger")):
            if names:
                more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
                said.append(f"only the {whose} has {', '.join(names[:MOST_NAMED])}{more}")
        said += [f"features/{name}.yml was edited, columns of the same name are taken" for name in self._edited]
        theirs = self.champion.manifest.estimator
        if theirs is None:
            return (*said, "the champion's bundle does not say its estimator settings")
        now, then = self._recipe.estimator.model_dump(), theirs.model_dump()
        return (*said, *(f"estimator.{key}: {then[key]} → {now[key]}" for key in now if now[key] != then[key]))

    @property
    def can_score(self) -> bool:
        """Whether its bundle finds all its columns in today's table."""
        return self._has_horizon and not self.columns_gone

    def comparison(self, predictions: pd.DataFrame, min_adoptions: int) -> Comparison:
        """How it comes to test predictions; see `Sides.comparison`.

        Months after its training show the running model itself; where they are too few, its recipe stands for it.
        """
        later = predictions.loc[self._later(predictions), "adopted"].sum()
        if self.can_score and later >= min_adoptions:
            return "as_it_runs"
        if not self.changes:
            return "same_recipe"
        return "refitted" if self._has_horizon and self.champion.manifest.estimator and self._kept else "impossible"

    def predictions(
        self, how: Comparison, table: pd.DataFrame, rows: pd.DataFrame, predictions: pd.DataFrame, *, jobs: int
    ) -> pd.Series[float]:
        """Probabilities of the test rows, missing where it cannot be judged."""
        if how == "same_recipe":
            return predictions[CHALLENGER].astype("float64")
        if how == "as_it_runs":
            return self.propensities(rows).where(self._later(predictions))
        estimator = self.champion.manifest.estimator or self._recipe.estimator
        recipe = replace(self._recipe, estimator=estimator, columns=self._kept)

        def refitted(fold: str) -> pd.Series[float]:
            classifier = recipe.fit(table, dt.date.fromisoformat(fold), jobs=1)
            return recipe.score(classifier, rows[predictions["fold"].eq(fold)])

        folds = sorted(predictions["fold"].unique())
        parts = Parallel(n_jobs=jobs, require="sharedmem")(delayed(refitted)(fold) for fold in folds)
        scores: pd.Series[float] = pd.concat(list(parts)).reindex(rows.index)
        return scores

    def propensities(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Propensity (0 to 1) of each row by the bundle itself."""
        recipe = replace(self._recipe, columns=self._kept)
        return recipe.score(self.champion.classifiers[recipe.horizon_days], rows)

    def _later(self, predictions: pd.DataFrame) -> pd.Series[bool]:
        return predictions["fold"].ge(str(self.champion.manifest.trained_as_of))


def ap_over_base_rate(metrics: Mapping[str, Any]) -> float | None:
    """Average precision ÷ base rate of a bundle's backtest, None where it had none."""
    ap = [model["ap"] for model in metrics.get("models", []) if model["model"] == CHALLENGER]
    rates = [row["base_rate"] for row in metrics.get("counts", []) if row["population"] == "first_time"]
    return ap[0] / rates[0] if ap and ap[0] is not None and rates and rates[0] else None


def _ranking(recipe: Recipe, table: PairTable, challenger: Bundle, rival: Rival | None) -> pd.DataFrame:
    """White space at the latest date as both bundles rank it."""
    rows = table.rows[table.rows["status"].eq("white_space") & table.rows["as_of"].eq(table.rows["as_of"].max())]
    ranking = rows[["account_id", "product_id"]].assign(
        challenger=recipe.score(challenger.classifiers[recipe.horizon_days], rows)
    )
    if rival is not None and rival.can_score:
        ranking["champion"] = rival.propensities(rows)
    return ranking.reset_index(drop=True)
