"""Runs whose process was killed, and stores that several processes share."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import pytest

from product_affinity.registry.bundle import read_bundle, write_bundle
from product_affinity.registry.processes import is_gone, this_process
from product_affinity.registry.runs import close_killed_runs
from product_affinity.registry.tracking import (
    TrackingError,
    alias_champion,
    note_decision,
    open_client,
    tracking_store,
)
from tests.registry.samples import COLUMNS
from tests.registry.test_tracking import track

NOW = dt.datetime.now(tz=dt.UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = tracking_store(tmp_path_factory.mktemp("runs") / "var")
    with pytest.raises(TrackingError, match="not tracked"):
        note_decision(made, "abc", "x")
    assert close_killed_runs(made, NOW) == ()
    return made


@pytest.fixture
def bundle(tmp_path, content):
    return write_bundle(tmp_path / "bundle", **content)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from product_affinity.registry import tracking
from product_affinity.registry.bundle import read_bundle
from tests.registry.test_tracking import track
tracking._log_product = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
track(tracking.tracking_store(Path(sys.argv[2])), read_bundle(Path(sys.argv[3])))
"""


def test_a_killed_training_is_closed_and_a_living_one_is_not(store, bundle):
    var = store.lock.parent.parent
    run = subprocess.run([sys.executable, "-c", KILLED, str(ROOT), str(var), str(bundle.folder)], capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()[-2000:]
    with open_client(store) as client:
        experiment = client.get_experiment_by_name("product-affinity").experiment_id
        living = client.create_run(experiment, run_name="living", tags={"process": this_process()}).info.run_id
        foreign = {"process": "elsewhere:1:1"}
        week_ago = int((NOW - dt.timedelta(days=7)).timestamp() * 1000)
        old = client.create_run(experiment, run_name="old", tags=foreign, start_time=week_ago).info.run_id
        young = client.create_run(experiment, run_name="young", tags=foreign).info.run_id
    found = {run.name: run.why_dead for run in close_killed_runs(store, NOW)}
    assert set(found) == {"training", "living", "old", "young"}
    assert found["living"] is found["young"] is None
    assert "is gone" in found["training"]
    assert "since 7 days" in found["old"]
    with open_client(store) as client:
        status = {run.info.run_name: run.info.status for run in client.search_runs([experiment])}
        assert status == {"training": "KILLED", "old": "KILLED", "living": "RUNNING", "young": "RUNNING"}
        for run_id in (living, young, old):
            client.set_terminated(run_id)
    assert close_killed_runs(store, NOW) == ()


def test_a_process_is_known_by_its_start():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host, _, start = this_process().rsplit(":", 2)
    assert is_gone(f"{host}:{child.pid}:{start}0") is True  # the number, given to another process
    child.communicate(b"\n")
    assert is_gone(f"{host}:{child.pid}:1") is True
    assert is_gone(f"{host}:{os.getpid()}:{start}") is False
    assert [is_gone(text) for text in ("", "a", "a:b", "elsewhere:1:1", f"{host}:x:1")] == [None] * 5


TRACKING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from product_affinity.registry.bundle import read_bundle
from product_affinity.registry.tracking import alias_champion, tracking_store
from tests.registry.test_tracking import track
store, bundle = tracking_store(Path(sys.argv[2])), read_bundle(Path(sys.argv[3]))
print(track(store, bundle).model_version, alias_champion(store, bundle.version, why="x"))
"""


@pytest.mark.slow
def test_four_processes_on_a_fresh_store(tmp_path, bundle):
    command = [sys.executable, "-c", TRACKING, str(ROOT), str(tmp_path / "var"), str(bundle.folder)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = []
    for run in runs:
        out, err = run.communicate(timeout=240)
        assert run.returncode == 0, err[-2000:]
        told.append(out.split()[0])
    assert sorted(told) == ["1", "2", "3", "4"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path):
    """A real MLflow server on loopback with a store of its own."""
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            # its workers are in the session this test started
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])


@pytest.mark.slow
def test_a_real_server_holds_run_model_signature_and_bundle(server, tmp_path, bundle):
    store = tracking_store(tmp_path / "var", server)
    assert store.artifacts is None
    tracked = track(store, bundle)
    assert alias_champion(store, bundle.version, why="better") == tracked.model_version == "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient
        from mlflow.models import Model

        client = MlflowClient(tracking_uri=server, registry_uri=server)
        run = client.get_run(tracked.run_id)
        fetched = Path(client.download_artifacts(tracked.run_id, "model", str(tmp_path)))
        signature = Model.load(str(fetched)).signature
        champion = client.get_model_version_by_alias("product-affinity", "champion")
    assert run.info.status == "FINISHED"
    assert champion.tags["decision"] == "better"
    assert [column.name for column in signature.inputs.inputs] == COLUMNS
    assert read_bundle(fetched / "bundle").version == bundle.version
    assert close_killed_runs(store, NOW) == ()
