from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.nightly import nightly_project
from product_affinity.pipeline.train import train_project
from product_affinity.project import Project, load_project
from product_affinity.registry.champion import install, latest_challenger

UNTIL = dt.date(2026, 6, 30)


def silent(sentence: str) -> None:
    del sentence


@dataclass(frozen=True)
class Demo:
    """A small demo company with a champion and one published list; tests that change it take a copy."""

    root: Path

    @property
    def project(self) -> Project:
        return load_project(self.root)

    @property
    def lists(self) -> Path:
        return self.root / "var" / "lists" / str(UNTIL)

    def nightly(self, as_of: dt.date = UNTIL) -> str:
        return nightly_project(self.project, as_of, jobs=1, progress=silent)

    def copy(self, folder: Path) -> Demo:
        shutil.copytree(self.root, folder / "copy", symlinks=True)
        return Demo(folder / "copy")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    root = tmp_path_factory.mktemp("demo") / "company"
    make_demo(root, accounts=400, months=17, until=UNTIL, seed=3, world="shared", traps=False, progress=silent)
    train_project(load_project(root), UNTIL, jobs=1, progress=silent)
    # what so small a company can prove is the gate's business, which has tests of its own
    challenger = latest_challenger(root / "var")
    install(root / "var", challenger.folder, why="the tests' champion", at=str(UNTIL))
    company = Demo(root)
    company.nightly()
    return company
