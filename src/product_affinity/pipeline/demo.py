"""`affinity demo`: a project of its own around the simulated company."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

from product_affinity.demo import write_demo
from product_affinity.pipeline.prepare import Progress
from product_affinity.pipeline.template import copy_template, template_folder


def make_demo(
    folder: Path,
    *,
    accounts: int,
    months: int,
    until: dt.date,
    seed: int,
    world: Literal["shared", "specific"],
    traps: bool,
    progress: Progress,
) -> str:
    """Write the demo project (settings, editable folders, data, truth) and return what to do next.

    An existing demo project keeps its settings and features; its data, truth and catalogue are made anew.

    Raises
    ------
    UsageError : the folder holds something else, whose data would be lost.
    """
    if not (folder / "truth" / "pairs.parquet").exists():
        copy_template(folder, is_demo=True)
    summary = write_demo(
        folder,
        template=template_folder(),
        accounts=accounts,
        months=months,
        until=until,
        seed=seed,
        world=world,
        traps=traps,
        progress=progress,
    )
    return (
        f"demo company in {folder}: {summary}\n"
        "It is made up: it shows how things work and is no evidence of performance on real data."
    )
