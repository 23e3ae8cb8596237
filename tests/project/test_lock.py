"""The lock file pins every dependency by hash and names no host."""

from __future__ import annotations

import re
from pathlib import Path

LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text()


def test_it_names_no_host():
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", LOCK)


def test_every_requirement_is_pinned_with_a_hash():
    requirements = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(requirements) > 50
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9_.\[\]-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement
