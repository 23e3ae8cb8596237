from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from product_affinity import __version__
from product_affinity.errors import LockedError, UsageError
from product_affinity.registry import lock
from product_affinity.registry.bundle import read_bundle, write_bundle
from product_affinity.registry.processes import is_gone
from product_affinity.registry.provenance import GitState, read_git_state
from product_affinity.registry.tracking import (
    TrackingError,
    alias_champion,
    log_training,
    metric_key,
    note_decision,
    tracking_store,
)
from tests.registry.samples import COLUMNS, PRODUCTS

METRICS = pd.DataFrame(
    [
        (None, None, "auc", 0.71),
        (None, 1, "auc", 0.70),
        (None, 2, "auc", 0.72),
        ("crm", None, "lift@10 %", 3.25),
        ("crm", 2, "lift@10 %", float("inf")),
        ("desk", None, "lift@10 %", float("nan")),
    ],
    columns=["product_id", "fold", "metric", "value"],
)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with its tables and nothing in it: making one costs seconds, copying it nothing."""
    var = tmp_path_factory.mktemp("store") / "var"
    with pytest.raises(TrackingError, match="bundle abc: not tracked"):
        alias_champion(tracking_store(var), "abc", why="first")
    return var


@pytest.fixture
def store(tmp_path, empty_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tracking_store(Path(shutil.copytree(empty_store, tmp_path / "var")))


@pytest.fixture
def bundle(tmp_path, content):
    return write_bundle(tmp_path / "bundle", **content)


@pytest.fixture
def client(store):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def track(store, bundle, **changes):
    arguments = {
        "params": {"estimator.n_seeds": 1, "long": "x" * 7000},
        "metrics": METRICS,
        "fingerprints": {"sources": "f" * 64, "features/usage.yml": "a" * 64},
        "plots": {"gain.svg": b"<svg/>"},
        "git": GitState("1" * 40, True),
    }
    return log_training(store, bundle, **{**arguments, **changes})


def test_training_is_tracked_whole(store, bundle, client, tmp_path):
    tracked = track(store, bundle)

    parent = client.get_run(tracked.run_id)
    assert parent.info.status == "FINISHED"
    assert is_gone(parent.data.tags["process"]) is False
    told = {key: value for key, value in parent.data.tags.items() if not key.startswith(("mlflow.", "process"))}
    assert told == {
        "as_of": "2026-06-30",
        "bundle_version": bundle.version,
        "dataset_fingerprint": "f" * 64,
        "git_commit": "1" * 40,
        "git_dirty": "yes",
        "package_version": __version__,
    }
    assert parent.data.params == {"estimator.n_seeds": "1", "long": "x" * 5999 + "…"}
    assert parent.data.metrics == {"auc": 0.71, "fold/auc": 0.72}
    history = client.get_metric_history(tracked.run_id, "fold/auc")
    assert [(entry.step, entry.value) for entry in history] == [(1, 0.70), (2, 0.72)]

    children = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{tracked.run_id}'",
        order_by=["tags.product_id"],
    )
    assert [(run.data.tags["product_id"], run.info.status) for run in children] == [
        (product_id, "FINISHED") for product_id in PRODUCTS
    ]
    assert [run.data.metrics for run in children] == [{"lift_at_10_percent": 3.25}, {}]

    assert sorted((used.dataset.name, used.dataset.digest) for used in parent.inputs.dataset_inputs) == [
        ("features/usage.yml", "a" * 36),
        ("sources", "f" * 36),
    ]
    plots = Path(client.download_artifacts(tracked.run_id, "plots", str(tmp_path)))
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == {"gain.svg": b"<svg/>"}

    # Artifacts hold the bundle, loadable by hash, and nothing that could run
    fetched = Path(client.download_artifacts(tracked.run_id, "model", str(tmp_path)))
    assert read_bundle(fetched / "bundle").version == bundle.version
    assert sorted(path.name for path in fetched.iterdir()) == ["MLmodel", "bundle"]
    assert not [path for path in fetched.rglob("*") if path.suffix in (".pkl", ".pickle", ".py")]
    # Nothing was written where the process happened to stand
    assert {path.name for path in tmp_path.iterdir()} == {"var", "bundle", "model", "plots"}


def test_registered_model_has_its_signature_and_aliases_move(store, content, other_content, client, tmp_path):
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model
    from mlflow.pyfunc import load_model

    bundles = [write_bundle(tmp_path / name, **of) for name, of in (("a", content), ("b", other_content))]
    assert [track(store, bundle).model_version for bundle in bundles] == ["1", "2"]

    version = client.get_model_version_by_alias("product-affinity", "challenger")
    assert version.version in (2, "2")
    assert version.tags == {"bundle_version": bundles[1].version}
    fetched = Path(client.download_artifacts(version.run_id, "model", str(tmp_path)))
    signature = Model.load(str(fetched)).signature
    assert [(column.name, column.type.name) for column in signature.inputs.inputs] == [
        (name, "double") for name in COLUMNS
    ]
    assert [(column.name, column.type.name) for column in signature.outputs.inputs] == [("propensity_90d", "double")]
    assert Model.load(str(fetched)).metadata["category_columns"] == [COLUMNS[1]]
    with pytest.raises(MlflowException, match="python_function"):
        load_model(str(fetched))

    def aliases():
        found = client.get_registered_model("product-affinity").aliases
        return {name: int(number) for name, number in found.items()}

    assert alias_champion(store, bundles[0].version, why="first") == "1"
    assert aliases() == {"challenger": 2, "champion": 1}
    assert alias_champion(store, bundles[1].version, why="better") == "2"
    assert alias_champion(store, bundles[1].version, why="better") == "2"
    assert aliases() == {"challenger": 2, "champion": 2, "previous": 1}
    # a rollback, and a challenger that is refused: every decision is told on its version, the second moves nothing
    assert alias_champion(store, bundles[0].version, why="restored: lists looked wrong") == "1"
    note_decision(store, bundles[1].version, "refused: P06")
    assert aliases() == {"challenger": 2, "champion": 1, "previous": 2}
    decisions = [client.get_model_version("product-affinity", number).tags["decision"] for number in ("1", "2")]
    assert decisions == ["restored: lists looked wrong", "refused: P06"]


def test_failure_leaves_the_bundle_and_marks_the_run(store, bundle, client, monkeypatch):
    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(client), "log_artifacts", fail)
    with pytest.raises(TrackingError, match="Bundles are safe") as caught:
        track(store, bundle)
    assert caught.value.exit_code == 75
    assert read_bundle(bundle.folder).version == bundle.version
    experiment = client.get_experiment_by_name("product-affinity")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == {
        "training": "FAILED",
        "crm": "FINISHED",
        "desk": "FINISHED",
    }
    assert client.search_registered_models() == []


def test_unreachable_server_is_one_error_soon_and_hides_the_password(tmp_path, bundle, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    with pytest.raises(TrackingError, match="failed") as caught:
        track(tracking_store(tmp_path / "var", "http://me:secret@127.0.0.1:9"), bundle)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 30


def test_two_fresh_processes_share_a_store(tmp_path):
    """Without the lock the loser of the race for the tables crashes."""
    code = (
        "import sys; from pathlib import Path;"
        "from product_affinity.registry.tracking import TrackingError, alias_champion, tracking_store\n"
        "try: alias_champion(tracking_store(Path(sys.argv[1])), 'abc', why='x')\n"
        "except TrackingError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "var")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        out, err = run.communicate()
        assert "bundle abc: not tracked in sqlite:///" in out
        assert (run.returncode, err) == (0, "")
    with sqlite3.connect(tmp_path / "var" / "mlflow" / "mlflow.db") as database:
        assert database.execute("select count(*) from experiments").fetchone() == (1,)
    database.close()


def test_one_process_writes(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    store = tracking_store(tmp_path / "var")
    store.lock.parent.mkdir(parents=True)
    with FileLock(store.lock), pytest.raises(LockedError):
        track(store, bundle)


def test_default_store_is_absolute_and_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = tracking_store(Path("var"))
    assert store.uri == f"sqlite:///{tmp_path}/var/mlflow/mlflow.db"
    assert store.artifacts == tmp_path / "var/mlflow/artifacts"
    assert list(tmp_path.iterdir()) == []


def test_server_decides_on_its_artifacts(tmp_path):
    assert tracking_store(tmp_path, "https://tracking.example").artifacts is None
    assert tracking_store(tmp_path, "postgresql://db/mlflow").artifacts == tmp_path / "mlflow/artifacts"


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///srv/mlruns", "sqlite:///mlflow.db", "sqlite://"])
def test_address_that_depends_on_the_working_directory_is_refused(tmp_path, uri):
    with pytest.raises(UsageError, match="tracking uri"):
        tracking_store(tmp_path, uri)


@pytest.mark.parametrize(
    ("name", "key"),
    [("auc", "auc"), ("lift@10 %", "lift_at_10_percent"), ("précision, top", "pr_cision_top")],
)
def test_metric_key(name, key):
    assert metric_key(name) == key


def test_git_state(tmp_path):
    assert read_git_state(tmp_path) == GitState("unknown", None)
    root = tmp_path / "repository"
    root.mkdir()

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        run = subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    git("init", "--quiet")
    assert read_git_state(root) == GitState("unknown", None)
    git("commit", "--quiet", "--allow-empty", "--message", "one")
    commit = git("rev-parse", "HEAD")
    assert read_git_state(root) == GitState(commit, False)
    (root / "new").write_text("x")
    assert read_git_state(root) == GitState(commit, True)
