"""The baseline that ranks while no model has passed the gate: stored, verified and pointed to like a bundle.

::

    var/baselines/<hash>/      JSON: manifest.json, baseline.json, SHA256SUMS
    var/baseline.challenger    link to the one kept beside the challenger trained last
    var/baseline               link to the one that ranks, as long as there is no champion
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from product_affinity.backtest.fitted import LEVEL, Fitted, fitted_from
from product_affinity.errors import BundleError
from product_affinity.registry.bundle import MANIFEST, Bundle
from product_affinity.registry.champion import CHAMPION, champion, has_pointer
from product_affinity.registry.folder import broken, read_folder, version_of
from product_affinity.registry.lock import sole_writer
from product_affinity.registry.manifest import (
    Days,
    Fingerprint,
    Manifest,
    Text,
    json_bytes,
    json_object,
    typed_manifest,
)
from product_affinity.registry.pointers import VERSION, move_pointer, pointed_version, registry_lock, store_files

BASELINES = "baselines"
STAND_IN = "baseline"
KEPT = "baseline.challenger"
FITTED = "baseline.json"
TITLES = {
    "popularity": "popularity of the product",
    "activity": "account activity",
    "affinity": "affinity matrix",
    "scorecard": "readiness scorecard",
    "scorecard_affinity": "readiness scorecard × affinity matrix",
    "logistic": "logistic regression",
    "lightgbm_default": "LightGBM with its defaults",
}
#: chance in place of a rate of 0: what never happened in training is rare, not impossible
RAREST = 1e-6


class StandInManifest(Manifest):
    """What a scorer must know of a baseline: a bundle's manifest, and how it came to rank.

    Attributes
    ----------
    baseline : its name in the backtest.
    challenger : version of the bundle it was kept beside.
    why : how it was chosen among the baselines, with figures.
    fitted_horizon_days : the horizon it was fitted for; the others follow from it.
    scorecard : fingerprint of the readiness scorecard it ranks by; None where it reads none.
    """

    baseline: Text
    challenger: Annotated[str, Field(pattern=rf"^{VERSION}$")]
    why: Text
    fitted_horizon_days: Days
    scorecard: Fingerprint | None = None

    @model_validator(mode="after")
    def _has_horizon(self) -> StandInManifest:
        if self.fitted_horizon_days not in self.horizons_days:
            raise ValueError("fitted_horizon_days: not among horizons_days")
        return self


class BaselineScorer:
    """A fitted baseline with the two methods that scoring asks of a classifier.

    Parameters
    ----------
    fitted : as read from its JSON.
    horizon_share : length of the scored horizon ÷ that of the fitted one, > 0; under a constant hazard
        ``p = 1 − (1 − p_fitted) ^ horizon_share``, so every horizon ranks alike.
    """

    def __init__(self, fitted: Fitted, horizon_share: float = 1.0) -> None:
        self.fitted, self._horizon_share = fitted, horizon_share

    def predict_proba(self, features: pd.DataFrame, *, product: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of not adopting and of adopting, one row a row of `features`."""
        found = self.fitted.predict(_with_product(features, product))
        found = np.select([found <= 0, found >= 1], [RAREST, 1 - RAREST], found)
        if self._horizon_share != 1:
            found = -np.expm1(self._horizon_share * np.log1p(-found))
        return np.column_stack([1 - found, found])

    def contributions(self, features: pd.DataFrame, *, product: npt.ArrayLike) -> pd.DataFrame:
        """Return what each column of `features` weighs, in log-odds at the fitted horizon, and `baseline`."""
        known = self.fitted.contributions(_with_product(features, product))
        return known.reindex(columns=[*features.columns, LEVEL], fill_value=0.0)


@dataclass(frozen=True)
class StandIn:
    """A verified baseline that ranks in place of a model; it is used like a `Bundle`.

    Attributes
    ----------
    folder : where it lies.
    version : `baseline-<name>-<first 12 hex digits of the SHA-256 of its SHA256SUMS>`.
    manifest : what it was fitted for, and why it was chosen.
    classifiers : horizon in days to what scores.
    """

    folder: Path
    version: str
    manifest: StandInManifest
    classifiers: Mapping[int, BaselineScorer]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns it reads."""
        return self.classifiers[self.manifest.fitted_horizon_days].fitted.inputs

    @property
    def title(self) -> str:
        """What it is called in sentences."""
        return TITLES.get(self.manifest.baseline, self.manifest.baseline)

    @property
    def words(self) -> str:
        """What every reader of a list must know."""
        return f"ranked by a baseline, {self.title}: no model has passed the gate yet"


Ranker = Bundle | StandIn


def ranker(var: Path) -> Ranker:
    """Read what ranks: the champion, or while there is none the baseline that stands in.

    Raises
    ------
    BundleError : there is neither, or it is altered; a damaged champion is never replaced in silence.
    """
    return standing_in(var) or champion(var)


def standing_in(var: Path) -> StandIn | None:
    """Read the baseline that ranks; None where there is a champion, or nothing stands in for it.

    Raises
    ------
    BundleError : it is altered.
    """
    if has_pointer(var, CHAMPION) or not has_pointer(var, STAND_IN):
        return None
    return stand_in(var, STAND_IN)


def stand_in(var: Path, pointer: str) -> StandIn:
    """Read the baseline behind `STAND_IN` or `KEPT`.

    Raises
    ------
    BundleError : there is none, or it is altered.
    """
    version = pointed_version(var / pointer, BASELINES)
    if version is None:
        raise BundleError(f"{var / pointer}: no baseline was kept. Run `affinity train` and `affinity promote`.")
    folder = var / BASELINES / version
    files = read_folder(folder)
    if version_of(files) != version:
        raise broken(folder, f"holds the baseline {version_of(files)}, not {version}")
    return _stand_in_from(folder, files)


def keep_baseline(var: Path, fitted: Fitted, manifest: Mapping[str, object]) -> StandIn:
    """Store a baseline beside the challenger trained last; nothing ranks by it yet.

    Parameters
    ----------
    var : the project's folder of everything generated.
    fitted : the baseline.
    manifest : the fields of `StandInManifest`.

    Raises
    ------
    BundleError : the manifest is faulty or contradicts the baseline.
    LockedError : another process moves a pointer of this project.
    """
    typed = typed_manifest(StandInManifest, manifest, MANIFEST)
    documents = {MANIFEST: typed, FITTED: fitted}
    files = {name: json_bytes(document.model_dump(mode="json")) for name, document in documents.items()}
    version = version_of(files)
    with sole_writer(registry_lock(var)):
        kept = _stand_in_from(var / BASELINES / version, files)
        store_files(kept.folder, files)
        move_pointer(var / KEPT, BASELINES, version)
    return kept


def let_stand_in(var: Path, challenger: str, suspected: str | None = None) -> StandIn:
    """Let the baseline that was kept beside a challenger rank until a model passes the gate.

    Parameters
    ----------
    var : the project's folder of everything generated.
    challenger : version of the bundle that may not score.
    suspected : an input that may know the answer: a baseline that reads it would be no better than the challenger.

    Raises
    ------
    BundleError : none was kept beside this challenger, it reads the suspected input, or it is altered.
    LockedError : another process moves a pointer of this project.
    """
    with sole_writer(registry_lock(var)):
        kept = stand_in(var, KEPT)
        if kept.manifest.challenger != challenger:
            raise BundleError(
                f"{var / KEPT}: was kept beside challenger {kept.manifest.challenger}, not {challenger}. "
                "Run `affinity train`, which keeps one."
            )
        if suspected in kept.inputs:
            raise BundleError(
                f"{var / KEPT}: {kept.title} reads {suspected} too, which may know the answer. "
                "See to features/, then run `affinity train` and `affinity promote`."
            )
        move_pointer(var / STAND_IN, BASELINES, kept.folder.name)
    return kept


def _stand_in_from(folder: Path, files: Mapping[str, bytes]) -> StandIn:
    different = sorted(set(files) ^ {MANIFEST, FITTED})
    if different:
        raise broken(folder / different[0], "missing or superfluous")
    place = str(folder / MANIFEST)
    manifest = typed_manifest(StandInManifest, json_object(files[MANIFEST], place), place)
    fitted = _loaded(folder / FITTED, files[FITTED], manifest)
    scorers = {days: BaselineScorer(fitted, days / manifest.fitted_horizon_days) for days in manifest.horizons_days}
    return StandIn(folder, f"baseline-{manifest.baseline.replace('_', '-')}-{version_of(files)}", manifest, scorers)


def _loaded(place: Path, content: bytes, manifest: Manifest) -> Fitted:
    read = json_object(content, str(place))
    try:
        fitted = fitted_from(read)
        unknown = sorted(set(fitted.inputs) - set(manifest.column_names))
        if unknown:
            raise ValueError(f"column {unknown[0]} is not in manifest.json")
        _check_scores(BaselineScorer(fitted), manifest)
    # A trust boundary: whatever an altered text makes it raise, the baseline is at fault.
    except Exception as error:
        problem = " ".join(str(error).split()).rstrip(".")
        raise broken(place, f"not usable ({problem or type(error).__name__})") from error
    return fitted


def _check_scores(scorer: BaselineScorer, manifest: Manifest) -> None:
    """Score one empty row a product, and one of a product never seen."""
    products = [*manifest.product_ids, ""]
    rows = pd.DataFrame(np.nan, index=range(len(products)), columns=list(manifest.column_names))
    scores = scorer.predict_proba(rows, product=np.array(products, dtype=object))
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("it gives scores that are no probabilities")


def _with_product(features: pd.DataFrame, product: Any) -> pd.DataFrame:
    return features.assign(product_id=np.asarray(product, dtype=object))
