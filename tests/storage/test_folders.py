from __future__ import annotations

import os
from pathlib import Path

import pytest

from product_affinity.storage import sync


@pytest.fixture
def synced(monkeypatch):
    found = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: found.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files come from /proc")
def test_files_and_folders_are_forced_to_disk_and_closed(tmp_path, synced):
    file = tmp_path / "a"
    file.write_text("x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    sync(file)
    sync(tmp_path)
    assert synced == [str(file), str(tmp_path)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "none")
