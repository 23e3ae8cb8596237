"""`affinity compare`, `promote` and `rollback`: which bundle scores, decided on evidence."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from product_affinity.errors import BundleError, RefusedError
from product_affinity.pipeline.stand_in import say_stand_in
from product_affinity.project import Project
from product_affinity.registry import champion as pointers
from product_affinity.registry.champion import install, latest_challenger, record_refusal
from product_affinity.registry.evidence import has_evidence, no_evidence, read_evidence
from product_affinity.registry.gains import unproven_beyond_chance
from product_affinity.registry.gate import GateReport, check_challenger
from product_affinity.registry.stand_in import let_stand_in, standing_in
from product_affinity.registry.tracking import TrackingError, alias_champion, note_decision, tracking_store

#: checks whose refusal says that an input may know the answer
LEAK_CHECKS = ("P09", "P10")


def compare_project(project: Project, as_of: dt.date) -> GateReport:
    """Judge the newest bundle against the champion and the baselines, and change nothing.

    Raises
    ------
    BundleError : there is no challenger, or a bundle or the evidence was altered.
    RefusedError : there is no evidence on this challenger against this champion.
    """
    challenger = latest_challenger(project.var)
    standing = pointers.intact_champion(project.var)
    current = standing.version if standing else None
    is_champion = current == challenger.version
    evidence = read_evidence(project.var, challenger.version)
    # a challenger that was promoted is judged by what it was promoted on
    if not is_champion:
        evidence.check_against(current)
    report = check_challenger(evidence, project.model_spec, as_of=as_of)
    baseline = standing_in(project.var)
    stands_in = f"{baseline.words} ({baseline.version})" if baseline else ""
    return replace(report, stands_in=stands_in, is_champion=is_champion)


def promote_project(project: Project, as_of: dt.date) -> str:
    """Make the newest bundle the champion if it passes every check, and write down why or why not.

    Where it does not pass and there is no champion, the baseline kept beside it ranks from now on.

    Raises
    ------
    BundleError : there is no challenger, or a bundle or the evidence was altered.
    RefusedError : a check refuses it, or it was not tested; the champion stays.
    """
    challenger = latest_challenger(project.var)
    standing = pointers.intact_champion(project.var)
    if standing is not None and standing.version == challenger.version:
        # nothing is decided anew; a log or an alias that a stop left behind is mended
        install(project.var, challenger.folder, why="found installed", at=str(as_of))
        return f"champion is {challenger.version} already{_alias(project, challenger.version, 'found installed')}"
    if not has_evidence(project.var, challenger.version):
        meanwhile = _meanwhile(project, challenger.version)
        raise RefusedError(f"{no_evidence(project.var, challenger.version)}{meanwhile}")
    report = compare_project(project, as_of)
    if report.refusals:
        record_refusal(project.var, challenger.version, why=report.words, at=str(as_of))
        _note(project, challenger.version, f"refused: {report.words}")
        report.raise_if_refused(_meanwhile(project, challenger.version, _suspected(project, report)))
    bundle = install(project.var, challenger.folder, why=report.words, at=str(as_of))
    return (
        f"champion is {bundle.version}, trained as of {bundle.manifest.trained_as_of}: {report.words}; "
        f"in {project.var}/champion{_alias(project, bundle.version, f'promoted: {report.words}')}"
    )


def rollback_project(project: Project, as_of: dt.date, *, why: str) -> str:
    """Make the champion before this one the champion again; lists are then the same bytes as before.

    Parameters
    ----------
    project : the project.
    as_of : as-of date written to the log.
    why : the reason in words.

    Raises
    ------
    BundleError : there is no previous champion, or it is altered.
    """
    undone = pointers.champion_version(project.var)
    bundle = pointers.rollback(project.var, why=why, at=str(as_of))
    said = f"champion is {bundle.version} again, trained as of {bundle.manifest.trained_as_of}, in place of {undone}"
    return said + _alias(project, bundle.version, f"restored: {why}")


def _suspected(project: Project, report: GateReport) -> str | None:
    """Return the input that may know the answer where a check says that one does."""
    if not any(check.code in LEAK_CHECKS for check in report.refusals):
        return None
    shares = dict(report.sides.gain_shares)
    together = unproven_beyond_chance(shares, report.sides.unproven, project.model_spec.gate.warn_gain_share)
    return next(iter(together or shares), None)


def _meanwhile(project: Project, challenger: str, suspected: str | None = None) -> str:
    """Let the challenger's baseline rank where there is no champion, and say so: a sentence to append to a refusal."""
    if pointers.has_pointer(project.var, pointers.CHAMPION):
        return ""
    try:
        return f" {say_stand_in(let_stand_in(project.var, challenger, suspected))}."
    except BundleError as error:
        return f" No baseline can rank meanwhile: {error}"


def _alias(project: Project, version: str, why: str) -> str:
    """Move the alias in MLflow; say so only where that failed, since the champion does not depend on it."""
    try:
        alias_champion(tracking_store(project.var, project.settings.tracking.uri), version, why=why)
    except TrackingError as error:
        return f"; its alias in MLflow was NOT moved: {error}"
    return ""


def _note(project: Project, version: str, why: str) -> None:
    try:
        note_decision(tracking_store(project.var, project.settings.tracking.uri), version, why)
    except TrackingError:
        # the refusal itself is what the caller must hear; promotions.jsonl has it in any case
        return
