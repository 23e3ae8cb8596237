"""MLflow behind one door: training runs, the registered model and its aliases.

MLflow is imported inside the functions that track, never by the scorer. What is registered carries
the bundle and an explicit signature but no Python flavour: MLflow can show, compare and hand out
the model, and nobody can be made to run code or unpickle by loading it. `read_bundle` loads it.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from product_affinity import __version__
from product_affinity.errors import AffinityError, UsageError
from product_affinity.registry.bundle import Bundle
from product_affinity.registry.folder import read_folder, write_folder
from product_affinity.registry.lock import sole_writer
from product_affinity.registry.manifest import Manifest
from product_affinity.registry.processes import this_process
from product_affinity.registry.provenance import GitState

NAME = "product-affinity"
MODEL = "model"
#: tag of a run: the process that writes it
PROCESS = "process"
MAX_PARAM_CHARACTERS, MAX_TAG_CHARACTERS = 6000, 5000
_BATCH = {"metrics": 1000, "params": 100}
_ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true"}
_ENVIRONMENT_DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class TrackingError(AffinityError):
    """The tracking store could not be written; bundles and pointers are not affected (exit 75)."""

    exit_code = 75


@dataclass(frozen=True)
class TrackingStore:
    """Where runs are tracked.

    Attributes
    ----------
    uri : address of an MLflow server or of a database.
    artifacts : where a database keeps its artifacts; None where the server decides.
    lock : lock file of this project's writers.
    """

    uri: str
    artifacts: Path | None
    lock: Path


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow calls a training: its run and the version of the registered model."""

    run_id: str
    model_version: str


def tracking_store(var: Path, uri: str | None = None) -> TrackingStore:
    """Return the project's tracking store; nothing is created yet.

    Parameters
    ----------
    var : the project's folder of everything generated.
    uri : `http(s)://` of a server or an absolute database address; None for `var/mlflow/mlflow.db`.

    Raises
    ------
    UsageError : the address is a folder or is relative, so that it would depend on the working directory.
    """
    home = var.resolve() / "mlflow"
    address = uri or f"sqlite:///{home / 'mlflow.db'}"
    scheme = urlsplit(address).scheme
    if scheme in ("", "file") or (scheme == "sqlite" and not address.startswith("sqlite:////")):
        raise UsageError(
            f"tracking uri {address!r}: not an http(s) server or an absolute database address, "
            "such as sqlite:////srv/mlflow.db."
        )
    is_server = scheme in ("http", "https")
    return TrackingStore(address, None if is_server else home / "artifacts", home / "store.lock")


def log_training(
    store: TrackingStore,
    bundle: Bundle,
    *,
    params: Mapping[str, object],
    metrics: pd.DataFrame,
    fingerprints: Mapping[str, str],
    git: GitState,
    plots: Mapping[str, bytes] | None = None,
) -> TrackedRun:
    """Track one training: a parent run, a child run a product, and a version of the registered model.

    The bundle goes below `model/bundle` of the parent's artifacts and becomes the next version of
    `product-affinity`, alias `challenger`.

    Parameters
    ----------
    store : from `tracking_store`.
    bundle : written already; a failure here does not touch it.
    params : settings of the training; text beyond 6,000 characters is cut.
    metrics : columns product_id (null: all products), fold (null: over all folds), metric, value;
        values that are not finite are left out.
    fingerprints : what was read (`sources`, a signal family's file) to the fingerprint of its content; each
        becomes a dataset of the run, and that of the sources a tag.
    git : from `read_git_state`.
    plots : file name to content, kept below `plots` of the parent's artifacts.

    Raises
    ------
    TrackingError : MLflow is missing, unreachable or refuses; the run is marked as failed where possible.
    LockedError : another process of this project is tracking.
    """
    tags = {
        "as_of": bundle.manifest.trained_as_of.isoformat(),
        "bundle_version": bundle.version,
        "dataset_fingerprint": fingerprints["sources"],
        "git_commit": git.commit,
        "git_dirty": {True: "yes", False: "no", None: "unknown"}[git.is_dirty],
        "package_version": __version__,
    }
    known = metrics[pd.to_numeric(metrics["value"]).abs() < float("inf")]
    with open_client(store) as client, _run(client, _experiment(client, store), "training", tags) as run_id:
        _log_params(client, run_id, params)
        _log_datasets(client, run_id, fingerprints)
        _log_metrics(client, run_id, known[known["product_id"].isna()])
        for product_id in bundle.manifest.product_ids:
            _log_product(client, run_id, product_id, known[known["product_id"] == product_id])
        _log_files(client, run_id, "plots", plots or {})
        _log_model(client, run_id, bundle)
        return TrackedRun(run_id, _register(client, run_id, bundle.version))


def alias_champion(store: TrackingStore, bundle_version: str, *, why: str) -> str:
    """Move the alias `champion` to the model of a bundle, and `previous` to the champion so far.

    Parameters
    ----------
    store : from `tracking_store`.
    bundle_version : `Bundle.version` of the installed champion.
    why : the decision in words, kept as tag `decision` of the model version.

    Returns
    -------
    str
        Version of the registered model.

    Raises
    ------
    TrackingError : the bundle was never tracked, or the store cannot be used.
    LockedError : another process of this project is tracking.
    """
    with open_client(store) as client:
        version = _model_version(client, store, bundle_version)
        current = client.get_registered_model(NAME).aliases.get("champion")
        if current is not None and str(current) != version:
            client.set_registered_model_alias(NAME, "previous", str(current))
        client.set_registered_model_alias(NAME, "champion", version)
        client.set_model_version_tag(NAME, version, "decision", _cut(why, MAX_TAG_CHARACTERS))
        return version


def note_decision(store: TrackingStore, bundle_version: str, why: str) -> None:
    """Write a decision to the model of a bundle without moving an alias; parameters as in `alias_champion`."""
    with open_client(store) as client:
        version = _model_version(client, store, bundle_version)
        client.set_model_version_tag(NAME, version, "decision", _cut(why, MAX_TAG_CHARACTERS))


def _model_version(client: Any, store: TrackingStore, bundle_version: str) -> str:
    found = client.search_model_versions(f"name = '{NAME}' and tags.bundle_version = '{bundle_version}'")
    if not found:
        raise TrackingError(
            f"bundle {bundle_version}: not tracked in {_without_password(store.uri)}. Run `affinity train` to track it."
        )
    return str(max(int(model.version) for model in found))


@contextmanager
def open_client(store: TrackingStore) -> Iterator[Any]:
    """Hand out MLflow's client while this is the project's only writer.

    Raises
    ------
    TrackingError : MLflow is missing, or the store cannot be used.
    LockedError : another process of this project is tracking.
    """
    os.environ.update(_ENVIRONMENT)
    for name, value in _ENVIRONMENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    with sole_writer(store.lock), warnings.catch_warnings(), _failures(store):
        # MLflow's own use of its dependencies is not the user's concern.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


@contextmanager
def _failures(store: TrackingStore) -> Iterator[None]:
    try:
        yield
    except AffinityError:
        raise
    # MLflow lets errors of its many backends through, so there is no shorter list to name.
    except Exception as error:
        problem = _without_password(" ".join(str(error).split()))[:300]
        raise TrackingError(
            f"tracking in {_without_password(store.uri)} failed ({type(error).__name__}: {problem}). "
            "Bundles are safe; see to the store and run `affinity train` again to track it."
        ) from error


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//…@", text)


def _experiment(client: Any, store: TrackingStore) -> str:
    known = client.get_experiment_by_name(NAME)
    if known is not None:
        return str(known.experiment_id)
    location = None if store.artifacts is None else store.artifacts.as_uri()
    return str(client.create_experiment(NAME, artifact_location=location))


@contextmanager
def _run(client: Any, experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    marked = {**tags, PROCESS: this_process()}
    run_id = str(client.create_run(experiment_id, run_name=name, tags=marked).info.run_id)
    try:
        yield run_id
    except BaseException:
        # the first failure is the one to report
        with suppress(Exception):
            client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id, status="FINISHED")


def _log_product(client: Any, parent_id: str, product_id: str, metrics: pd.DataFrame) -> None:
    experiment_id = client.get_run(parent_id).info.experiment_id
    tags = {"mlflow.parentRunId": parent_id, "product_id": product_id}
    with _run(client, experiment_id, product_id, tags) as run_id:
        _log_metrics(client, run_id, metrics)


def _log_params(client: Any, run_id: str, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    entries = [Param(metric_key(name), _cut(str(params[name]))) for name in sorted(params)]
    for start in range(0, len(entries), _BATCH["params"]):
        client.log_batch(run_id, params=entries[start : start + _BATCH["params"]])


def _log_datasets(client: Any, run_id: str, fingerprints: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput

    datasets = [
        # 36 characters is what a digest may have
        Dataset(name=name, digest=fingerprints[name][:36], source_type="local", source=name)
        for name in sorted(fingerprints)
    ]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset) for dataset in datasets])


def _log_files(client: Any, run_id: str, place: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted(files):
            (Path(scratch) / name).write_bytes(files[name])
        if files:
            client.log_artifacts(run_id, scratch, place)


def _cut(text: str, most: int = MAX_PARAM_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _log_metrics(client: Any, run_id: str, metrics: pd.DataFrame) -> None:
    from mlflow.entities import Metric

    at = client.get_run(run_id).info.start_time
    entries = [
        Metric(metric_key(name), value, at, 0)
        if pd.isna(fold)
        else Metric(f"fold/{metric_key(name)}", value, at, int(fold))
        for name, fold, value in zip(
            metrics["metric"].astype(str), metrics["fold"], metrics["value"].astype(float), strict=True
        )
    ]
    for start in range(0, len(entries), _BATCH["metrics"]):
        client.log_batch(run_id, metrics=entries[start : start + _BATCH["metrics"]])


def metric_key(name: str) -> str:
    """Return a name MLflow accepts: letters, digits and `_ - . /`.

    >>> metric_key("lift@10 %")
    'lift_at_10_percent'
    """
    spelled = name.replace("@", "_at_").replace("%", "percent")
    return re.sub(r"[^\w./-]+", "_", spelled, flags=re.ASCII)


def _log_model(client: Any, run_id: str, bundle: Bundle) -> None:
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_folder(folder / "bundle", read_folder(bundle.folder))
        model = Model(
            run_id=run_id,
            artifact_path=MODEL,
            flavors={"product_affinity": {"bundle": "bundle", "package_version": __version__}},
            signature=_signature(bundle.manifest),
            metadata={
                "bundle_version": bundle.version,
                "category_columns": [column.name for column in bundle.manifest.columns if column.kind == "category"],
            },
        )
        model.save(str(folder / "MLmodel"))
        client.log_artifacts(run_id, str(folder), MODEL)


def _signature(manifest: Manifest) -> Any:
    """All inputs are double, categories as the codes of the bundle's encoder.

    An inferred signature vanishes for categories and for integers with missing values, and `double`
    takes both a number and a missing one.
    """
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = [ColSpec("double", name) for name in manifest.column_names]
    outputs = [ColSpec("double", f"propensity_{days}d") for days in manifest.horizons_days]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _register(client: Any, run_id: str, bundle_version: str) -> str:
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    version = client.create_model_version(
        NAME,
        source=f"{client.get_run(run_id).info.artifact_uri}/{MODEL}",
        run_id=run_id,
        tags={"bundle_version": bundle_version},
    )
    client.set_registered_model_alias(NAME, "challenger", str(version.version))
    return str(version.version)
