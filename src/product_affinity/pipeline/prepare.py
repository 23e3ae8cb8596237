"""From sources to checked facts: the first step of every command that computes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from product_affinity.contracts.facts import Facts
from product_affinity.pipeline.check import CheckReport, check_sources
from product_affinity.pipeline.checked import facts_folder
from product_affinity.project import Project

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A project whose sources passed their contracts.

    Attributes
    ----------
    project : the project.
    as_of : the run's as-of date.
    report : what the check found.
    facts : checked tables, ready to query.
    """

    project: Project
    as_of: dt.date
    report: CheckReport
    facts: Facts


def prepare(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> Prepared:
    """Check the sources (a quick look where nothing changed) and open the facts.

    Raises
    ------
    ContractError, FreshnessError : the sources cannot be used; every violation is in the message.
    """
    progress("checking source tables")
    report = check_sources(project, as_of, threads=jobs)
    report.raise_if_broken()
    facts = Facts.from_folder(
        facts_folder(project.var, report.fingerprint), timezone=project.settings.project.timezone, threads=jobs
    )
    return Prepared(project, as_of, report, facts)
