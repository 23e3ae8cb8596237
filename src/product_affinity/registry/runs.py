"""Runs that were killed: MLflow keeps them as RUNNING for ever, until somebody looks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from product_affinity.registry.processes import is_gone
from product_affinity.registry.tracking import NAME, PROCESS, TrackingStore, open_client

#: a training that says nothing of its process is given so long
PATIENCE = dt.timedelta(days=2)


@dataclass(frozen=True)
class OpenRun:
    """A run that says it is running.

    Attributes
    ----------
    run_id, name : as in MLflow.
    why_dead : why it cannot be running any more; None while it may be.
    """

    run_id: str
    name: str
    why_dead: str | None


def close_killed_runs(store: TrackingStore, now: dt.datetime) -> tuple[OpenRun, ...]:
    """Mark runs as KILLED whose process is gone, or unknown and older than two days; return all open runs.

    Parameters
    ----------
    store : from `tracking_store`.
    now : the present, with a time zone; the library reads no clock.

    Raises
    ------
    TrackingError : the store cannot be used.
    LockedError : another process of this project is tracking.
    """
    with open_client(store) as client:
        experiment = client.get_experiment_by_name(NAME)
        if experiment is None:
            return ()
        found = tuple(_judged(run, now) for run in _running(client, experiment.experiment_id))
        for run in found:
            if run.why_dead is not None:
                client.set_tag(run.run_id, "closed_because", run.why_dead)
                client.set_terminated(run.run_id, status="KILLED")
        return found


def _running(client: Any, experiment_id: str) -> list[Any]:
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string="attributes.status = 'RUNNING'",
            order_by=["attributes.start_time"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def _judged(run: Any, now: dt.datetime) -> OpenRun:
    process = run.data.tags.get(PROCESS, "")
    gone = is_gone(process)
    age = now - dt.datetime.fromtimestamp(run.info.start_time / 1000, tz=dt.UTC)
    why = None
    if gone:
        why = f"its process {process} is gone"
    elif gone is None and age > PATIENCE:
        why = f"it says it runs since {age.days} days and its process cannot be seen from here"
    return OpenRun(run.info.run_id, run.info.run_name, why)
