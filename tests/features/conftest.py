"""What the tests of the cache share; each module fills a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.cached_company import Company


@pytest.fixture(scope="module")
def company() -> Company:
    return Company()


@pytest.fixture
def copy(filled, tmp_path) -> Path:
    for path in filled.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
