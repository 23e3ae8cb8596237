"""`affinity doctor`: what stands in the way, in one table, each line with its next step."""

from __future__ import annotations

import datetime as dt
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from rich.table import Table

from product_affinity.contracts.facts import open_engine
from product_affinity.errors import AffinityError, BundleError
from product_affinity.pipeline.scoring import check_families
from product_affinity.project import Project, load_project
from product_affinity.registry.champion import CHALLENGER, CHAMPION, PREVIOUS, has_pointer, pointed_bundle
from product_affinity.registry.runs import close_killed_runs
from product_affinity.registry.stand_in import standing_in
from product_affinity.registry.tracking import tracking_store
from product_affinity.sources import open_sources

PYTHON = (3, 11)
#: free space below which nothing should be started, and below which one should look
LEAST_FREE, LITTLE_FREE = 200 * 1024**2, 2 * 1024**3

State = Literal["well", "look", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    what : what was looked at.
    state : well, look (works, but somebody should see it), or broken (a command will stop here).
    words : what was found.
    next_step : what to do, empty where nothing is needed.
    exit_code : with which the command that needs it stops; 0 unless broken.
    """

    what: str
    state: State
    words: str
    next_step: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at, in order."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """Exit code of the first thing that is broken, 0 where nothing is."""
        return next((finding.exit_code for finding in self.findings if finding.state == "broken"), 0)

    def render(self) -> Table:
        """Return a table for the terminal."""
        table = Table("what", "state", "found", "next step", title="Doctor", title_justify="left")
        for finding in self.findings:
            table.add_row(finding.what, finding.state, finding.words, finding.next_step)
        return table

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"exit_code": self.exit_code, "findings": [asdict(finding) for finding in self.findings]}


def diagnose(root: Path, now: dt.datetime) -> Diagnosis:
    """Look at environment, project, sources, bundles, locks and tracking store; close runs that were killed.

    Nothing else is changed, and no fault of one part keeps the others from being looked at.

    Parameters
    ----------
    root : project folder.
    now : the present, with a time zone; the library reads no clock.
    """
    found = [_python(), _libraries()]
    try:
        project = load_project(root)
    except AffinityError as error:
        return Diagnosis((*found, _broken("project", error)))
    found.append(Finding("project", "well", f"{project.settings.project.name}: {len(project.families)} families"))
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("disk", lambda: _disk(project.var)),
        ("sources", lambda: _sources(project)),
        ("challenger", lambda: _bundle(project, CHALLENGER, "Run `affinity train`.")),
        ("champion", lambda: _champion(project)),
        ("previous champion", lambda: _bundle(project, PREVIOUS, "")),
        ("locks", lambda: _locks(project.var)),
        ("tracking", lambda: _tracking(project, now)),
    )
    for what, look in looks:
        try:
            found.append(look())
        except AffinityError as error:
            found.append(_broken(what, error))
        except OSError as error:
            found.append(Finding(what, "broken", f"{error.filename}: {error.strerror}", "See to the file.", 1))
    return Diagnosis(tuple(found))


def _broken(what: str, error: AffinityError) -> Finding:
    words, _, step = str(error).partition(". ")
    return Finding(what, "broken", words, step, error.exit_code)


def _python() -> Finding:
    words = f"{platform.python_version()} on {platform.system()}"
    if sys.version_info < PYTHON:
        return Finding("python", "broken", words, f"Python {'.'.join(map(str, PYTHON))} or newer is needed.", 1)
    return Finding("python", "well", words)


def _libraries() -> Finding:
    wanted = [text for text in requires("product-affinity") or () if "extra ==" not in text]
    names = [match[0] for text in wanted if (match := re.match(r"[A-Za-z0-9._-]+", text))]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return Finding("libraries", "broken", f"missing: {', '.join(missing)}", "Run `make setup`.", 1)
    shown = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "lightgbm", "pandas", "scikit-learn", "mlflow"))
    return Finding("libraries", "well", f"all {len(names)} there: {shown}")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _disk(var: Path) -> Finding:
    var.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=var):
        free = shutil.disk_usage(var).free
    words = f"{free / 1024**3:,.1f} GiB free in {var}, writable"
    if free < LEAST_FREE:
        return Finding("disk", "broken", words, "Make room: delete old lists, bundles or evidence.", 1)
    return Finding("disk", "look" if free < LITTLE_FREE else "well", words)


def _sources(project: Project) -> Finding:
    address = project.settings.sources.path
    place = address if "://" in address else project.source_path
    connection = open_engine(threads=1)
    try:
        with (
            tempfile.TemporaryDirectory() as workspace,
            open_sources(connection, place, Path(workspace)) as raw,
        ):
            faults = [table.fault for table in raw.tables.values() if table.fault]
    finally:
        connection.close()
    if faults:
        return Finding("sources", "look", "; ".join(faults), "Run `affinity check`.")
    return Finding("sources", "well", f"{len(raw.tables)} tables readable: {', '.join(sorted(raw.tables))}")


def _champion(project: Project) -> Finding:
    """Look at the champion, or at the baseline that stands in for it."""
    standing = standing_in(project.var)
    if standing is None:
        return _bundle(project, CHAMPION, "Run `affinity promote`.")
    words = f"none yet; nights are {standing.words}: {standing.version} verified, {standing.manifest.why}"
    try:
        check_families(standing, project)
    except BundleError as error:
        return _broken("champion", error)
    return Finding("champion", "look", words, "Run `affinity compare` to see what refuses the challenger.")


def _bundle(project: Project, pointer: str, step: str) -> Finding:
    what = {CHALLENGER: "challenger", CHAMPION: "champion", PREVIOUS: "previous champion"}[pointer]
    if not has_pointer(project.var, pointer):
        return Finding(what, "look" if step else "well", "none yet", step)
    bundle = pointed_bundle(project.var, pointer)
    now = {family.family: family.fingerprint for family in project.families}
    edited = sorted(name for name, then in bundle.manifest.families.items() if now.get(name) != then)
    words = f"{bundle.version} verified, trained as of {bundle.manifest.trained_as_of}"
    if edited:
        files = ", ".join(f"features/{name}.yml" for name in edited)
        return Finding(what, "look", f"{words}; {files} edited since", "Run `affinity train`, or restore the files.")
    return Finding(what, "well", words)


def _locks(var: Path) -> Finding:
    held = []
    for path in sorted(var.rglob("*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            held.append(str(path.relative_to(var)))
        else:
            lock.release()
    if held:
        return Finding("locks", "look", f"held: {', '.join(held)}", "Another command is at work; wait for it.")
    return Finding("locks", "well", "none held")


def _tracking(project: Project, now: dt.datetime) -> Finding:
    store = tracking_store(project.var, project.settings.tracking.uri)
    runs = close_killed_runs(store, now)
    closed = [run for run in runs if run.why_dead is not None]
    words = f"MLflow store reachable, {len(runs) - len(closed)} runs at work"
    if closed:
        told = "; ".join(f"{run.name} {run.run_id[:8]}: {run.why_dead}" for run in closed)
        return Finding("tracking", "look", f"{words}, {len(closed)} killed runs closed ({told})")
    return Finding("tracking", "well", words)
