"""The backtest: fit every model at each origin, score what came after, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
from joblib import Parallel, delayed

from product_affinity.backtest.baselines import available_baselines
from product_affinity.backtest.compare import compare, populations
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.horizons import horizon_figures
from product_affinity.backtest.result import POPULATIONS, BacktestResult
from product_affinity.backtest.scored import BLEND, FoldTask, score_fold, with_earlier_blend
from product_affinity.backtest.verify import check_folds
from product_affinity.errors import ContractError, LeakageError
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import ModelSpec

N_RESAMPLES = 200


def run_backtest(
    rows: pd.DataFrame,
    columns: tuple[FeatureColumn, ...],
    *,
    spec: ModelSpec,
    folds: Sequence[Fold],
    plays_per_owner: int | None = None,
    more_horizons_days: tuple[int, ...] = (),
    n_resamples: int = N_RESAMPLES,
    n_jobs: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> BacktestResult:
    """Compare the blend, its candidates and the baselines on rolling, purged folds.

    Training uses every closed row, win-backs and pairs in pipeline included. Headline figures are of
    first-time adoptions in white space, the pairs that lists show; win-backs and pairs in pipeline are
    reported apart. What a team can work (precision@k, ARR@k) is `plays_per_owner` times the owners seen at
    the date, or 1 % of the pairs where either is unknown.

    Parameters
    ----------
    rows : training table sorted by as_of, account_id, product_id: keys, adopted (missing while open), status,
        is_winback, segment, expected_arr_usd (unknown counts as 0), feature columns; owner_id, tenure_days and
        scorecard_points where known.
    columns : the feature columns.
    spec : estimator settings, and the adoptions a product needs to enter a mean.
    folds : from `plan_folds`.
    plays_per_owner : rows one owner can work in a period.
    more_horizons_days : horizons that the blend is judged at too; `rows` holds their labels and that of 30 days.
    n_resamples : of the account-clustered bootstrap.
    n_jobs : folds fitted at once, one thread each; changes no result.
    progress : called with one line per step.

    Raises
    ------
    LeakageError : a fold would see labels from after its origin.
    ContractError : a feature column is missing, or no fold has adopters and others to learn from.
    """
    usable, notes = _usable_folds(folds, rows)
    lineup, left_out = available_baselines(columns, rows.columns)
    following = [*(pd.Timestamp(fold.origin) for fold in usable[1:]), None]
    tasks = [
        FoldTask(
            fold, origin, columns, spec.estimator, lineup, plays_per_owner, spec.min_test_positives, more_horizons_days
        )
        for fold, origin in zip(usable, following, strict=True)
    ]
    # the longest fits first, so that the workers end together
    parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(score_fold)(task, rows, progress) for task in reversed(tasks)
    )
    parts = list(reversed(parts))
    predictions = with_earlier_blend(parts)
    # the blend and its candidates, then the baselines
    names = list(map(str, predictions.columns))
    models = tuple(names[names.index(BLEND) :])
    progress(f"comparing {len(models)} models on {len(predictions):,} test pairs, {n_resamples} resamples")
    result = compare(
        predictions,
        tuple(usable),
        models=models,
        baselines=tuple(lineup),
        later=pd.concat([part.later for part in parts], ignore_index=True),
        weights=pd.concat([part.weights for part in parts], ignore_index=True),
        training=pd.concat([part.training for part in parts], ignore_index=True),
        min_positives=spec.min_test_positives,
        n_resamples=n_resamples,
        random_state=spec.estimator.random_state,
        notes=(*notes, *left_out),
    )
    horizons = horizon_figures(
        predictions[populations(predictions)[POPULATIONS[0]]],
        BLEND,
        more_horizons_days,
        horizon_days=usable[0].horizon_days,
        min_positives=spec.min_test_positives,
        n_resamples=n_resamples,
        random_state=spec.estimator.random_state,
    )
    return replace(result, horizons=horizons)


def _usable_folds(folds: Sequence[Fold], rows: pd.DataFrame) -> tuple[list[Fold], list[str]]:
    """Folds that passed the second opinion and have both classes to learn from, and a note on each other."""
    violations = check_folds(folds, rows)
    if violations:
        raise LeakageError("\n".join(violations))
    usable, notes = [], []
    for fold in folds:
        adopted = fold.split(rows[["as_of", "adopted"]])[0]["adopted"]
        if 0 < adopted.sum() < len(adopted):
            usable.append(fold)
        else:
            count = f"{int(adopted.sum())} adoptions in {len(adopted):,} training pairs"
            notes.append(f"fold {fold.origin} left out: {count}")
    if not usable:
        raise ContractError(
            f"backtest: none of {len(folds)} folds holds both adopters and others in training. "
            "Check the subscriptions' start dates, or load older data."
        )
    return usable, notes
