"""The bundle: everything a scorer needs in one folder of text and JSON, verified before it is loaded.

::

    manifest.json        products, columns, family fingerprints, as-of date, horizons, thresholds
    model_<horizon>d/    booster texts and one JSON file a classifier, and made-up rows with their scores
    metrics.json         figures of the backtest
    MODEL_CARD.md        the same for people
    SHA256SUMS           of all files above

Nothing in it is ever executed: no pickle, no code. The order is hash, manifest, structure, load,
scores of the made-up rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from product_affinity import models
from product_affinity.registry.folder import broken, read_folder, version_of, write_folder
from product_affinity.registry.manifest import Manifest, json_bytes, json_object, manifest_from
from product_affinity.registry.selftest import SELFTEST, check_selftest, write_selftest

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

MANIFEST = "manifest.json"
METRICS = "metrics.json"
CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class Bundle:
    """A verified and loaded bundle.

    Attributes
    ----------
    folder : where it lies.
    version : first 12 hex digits of the SHA-256 of its `SHA256SUMS`; same content, same version.
    manifest : what it was trained for.
    metrics : content of `metrics.json`.
    card : content of `MODEL_CARD.md`.
    classifiers : horizon in days to the fitted classifier.
    """

    folder: Path
    version: str
    manifest: Manifest
    metrics: Mapping[str, Any]
    card: str
    classifiers: Mapping[int, PropensityClassifier]


def write_bundle(
    folder: Path,
    *,
    classifiers: Mapping[int, PropensityClassifier],
    manifest: Mapping[str, object],
    metrics: Mapping[str, Any],
    card: str,
) -> Bundle:
    """Write a bundle; the folder appears whole or not at all, byte-identical for the same inputs.

    Parameters
    ----------
    folder : a new folder; an existing one is accepted if it holds the same bytes.
    classifiers : horizon in days to the fitted classifier.
    manifest : the fields of `Manifest`.
    metrics : JSON-like figures; NaN and ±inf become null.
    card : Markdown.

    Returns
    -------
    Bundle
        As read back from the written texts, so trainer and scorer hold the same models.

    Raises
    ------
    BundleError : the manifest is faulty or contradicts the classifiers, or the folder holds another bundle.
    """
    files = bundle_files(classifiers=classifiers, manifest=manifest, metrics=metrics, card=card)
    bundle = bundle_from(folder, files)
    write_folder(folder, files)
    return bundle


def bundle_files(
    *,
    classifiers: Mapping[int, PropensityClassifier],
    manifest: Mapping[str, object],
    metrics: Mapping[str, Any],
    card: str,
) -> dict[str, bytes]:
    """Return the content of a bundle by path, without `SHA256SUMS`; parameters as in `write_bundle`.

    Raises
    ------
    BundleError : the manifest is faulty.
    """
    files = {
        MANIFEST: json_bytes(manifest_from(manifest, MANIFEST).model_dump(mode="json")),
        METRICS: json_bytes(metrics),
        CARD: card.encode(),
    }
    for horizon_days, classifier in classifiers.items():
        for name, text in models.classifier_to_texts(classifier).items():
            files[f"{model_folder(horizon_days)}/{name}"] = text.encode()
        files[f"{model_folder(horizon_days)}/{SELFTEST}"] = write_selftest(classifier)
    return files


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, verifying hashes, manifest and structure before a model is loaded.

    Raises
    ------
    BundleError : it is missing, altered or not loadable; the message names the file and what to do.
    """
    # resolved first, so that a pointer that moves meanwhile cannot mix two bundles
    folder = folder.resolve()
    return bundle_from(folder, read_folder(folder))


def bundle_from(folder: Path, files: Mapping[str, bytes]) -> Bundle:
    """Build a bundle from the verified content of its files.

    Parameters
    ----------
    folder : place of the files, for messages.
    files : content by path, without `SHA256SUMS`.

    Raises
    ------
    BundleError : a file is missing, superfluous, contradictory or not loadable.
    """
    for name in (MANIFEST, METRICS, CARD):
        if name not in files:
            raise broken(folder / name, "missing")
    content = json_object(files[MANIFEST], str(folder / MANIFEST))
    manifest = manifest_from(content, str(folder / MANIFEST))
    texts = _model_texts(folder, files, manifest)
    return Bundle(
        folder=folder,
        version=version_of(files),
        manifest=manifest,
        metrics=json_object(files[METRICS], str(folder / METRICS)),
        card=_text(files[CARD], folder / CARD),
        classifiers={
            horizon: _loaded(folder / model_folder(horizon), manifest, horizon, texts[horizon])
            for horizon in manifest.horizons_days
        },
    )


def model_folder(horizon_days: int) -> str:
    """Return the folder of the classifier of a horizon inside a bundle.

    >>> model_folder(90)
    'model_90d'
    """
    return f"model_{horizon_days}d"


def _model_texts(folder: Path, files: Mapping[str, bytes], manifest: Manifest) -> dict[int, dict[str, str]]:
    horizons = {model_folder(horizon): horizon for horizon in manifest.horizons_days}
    texts: dict[int, dict[str, str]] = {horizon: {} for horizon in manifest.horizons_days}
    for path in sorted(set(files) - {MANIFEST, METRICS, CARD}):
        inner, _, name = path.partition("/")
        if inner not in horizons or not name:
            raise broken(folder / path, "belongs to no horizon of manifest.json")
        texts[horizons[inner]][name] = _text(files[path], folder / path)
    return texts


def _text(content: bytes, place: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise broken(place, "not readable as UTF-8") from None


def _loaded(place: Path, manifest: Manifest, horizon_days: int, texts: Mapping[str, str]) -> PropensityClassifier:
    model_texts = {name: text for name, text in texts.items() if name != SELFTEST}
    try:
        classifier = models.classifier_from_texts(model_texts)
        _check_fits(classifier, manifest, horizon_days)
        _check_written_again(classifier, model_texts)
        _check_scores(classifier, manifest)
        check_selftest(classifier, json_object(texts.get(SELFTEST, "").encode(), SELFTEST))
    # A trust boundary: whatever an altered text makes the model raise, the bundle is at fault.
    except Exception as error:
        problem = " ".join(str(error).split()).rstrip(".")
        raise broken(place, f"not usable ({problem or type(error).__name__})") from error
    return classifier


def _check_fits(classifier: PropensityClassifier, manifest: Manifest, horizon_days: int) -> None:
    if classifier.horizon_days != horizon_days:
        raise ValueError(f"holds the model of {classifier.horizon_days} days")
    names = set(getattr(classifier, "feature_names_in_", ()))
    different = sorted(names ^ set(manifest.column_names))
    if different:
        raise ValueError(f"column {different[0]} is not in both model and manifest.json")


def _check_written_again(classifier: PropensityClassifier, texts: Mapping[str, str]) -> None:
    # writing refuses what JSON lets in and a model may not hold, such as 1e400
    unused = sorted(set(texts) - set(models.classifier_to_texts(classifier)))
    if unused:
        raise ValueError(f"{unused[0]} is no part of the model")


def _check_scores(classifier: PropensityClassifier, manifest: Manifest) -> None:
    """Score one empty row a product, and one of a product never seen.

    Raises
    ------
    ValueError : a score is no probability; other errors where parts of the model do not fit together.
    """
    products = [*manifest.product_ids, ""]
    rows = pd.DataFrame(np.nan, index=range(len(products)), columns=list(manifest.column_names))
    scores = np.asarray(classifier.predict_proba(rows, product=np.array(products, dtype=object)))
    if scores.shape != (len(products), 2) or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("it gives scores that are no probabilities")
