from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest

from product_affinity.lists import latest_before, publish_lists, verify_list

DAY, NEXT = dt.date(2026, 6, 29), dt.date(2026, 6, 30)


def writer(text):
    def write(folder: Path):
        (folder / "worklist.csv").write_text(text)
        (folder / "owners").mkdir()
        (folder / "owners" / "csm.csv").write_text(text)
        return {"as_of": str(DAY), "rows": 1}

    return write


def test_published_list_verifies_and_current_shows_it(tmp_path):
    folder = publish_lists(tmp_path, DAY, writer("one"))
    assert folder == tmp_path / "2026-06-29"
    assert verify_list(folder) == []
    assert (tmp_path / "current" / "worklist.csv").read_text() == "one"


def test_a_rerun_replaces_the_list_and_leaves_nothing_behind(tmp_path):
    publish_lists(tmp_path, DAY, writer("one"))
    publish_lists(tmp_path, DAY, writer("two"))
    assert (tmp_path / "current" / "worklist.csv").read_text() == "two"
    assert len(list((tmp_path / ".store").iterdir())) == 1


def test_a_backfill_does_not_move_current_back(tmp_path):
    publish_lists(tmp_path, NEXT, writer("new"))
    publish_lists(tmp_path, DAY, writer("old"))
    assert (tmp_path / "current" / "worklist.csv").read_text() == "new"
    assert (tmp_path / "2026-06-29" / "worklist.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda f: (f / "worklist.csv").write_text("x"), "worklist.csv: altered"),
        (lambda f: (f / "owners" / "csm.csv").unlink(), "owners/csm.csv: missing"),
        (lambda f: (f / "extra").write_text("x"), "extra: not in the manifest"),
        (lambda f: (f / "_SUCCESS").unlink(), "no _SUCCESS"),
        (lambda f: (f / "manifest.json").write_text("{}"), "manifest.json: altered"),
    ],
)
def test_tampering_is_found(tmp_path, change, fault):
    folder = publish_lists(tmp_path, DAY, writer("one"))
    change(folder)
    assert fault in verify_list(folder)[0]


def test_a_folder_somebody_worked_in_does_not_block_its_date(tmp_path):
    folder = publish_lists(tmp_path, DAY, writer("one"))
    (folder / "worklist.csv").write_text("edited in a spreadsheet")
    publish_lists(tmp_path, DAY, writer("one"))
    assert verify_list((tmp_path / "current").resolve()) == []
    assert (tmp_path / "current" / "worklist.csv").read_text() == "one"


class CrashError(Exception):
    pass


STEPS = ["mkdir", "rename", "chmod", "symlink_to", "replace", "write_text"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_crash_at_any_step_leaves_the_old_list_or_the_new_one(tmp_path, monkeypatch, step, call):
    publish_lists(tmp_path, DAY, writer("old"))
    original, calls = getattr(Path, step), []

    def crashing(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == call:
            raise CrashError
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, crashing)
        try:
            publish_lists(tmp_path, DAY, writer("new"))
        except CrashError:
            pass
        else:
            assert len(calls) < call
    for shown in (tmp_path / "current", tmp_path / "2026-06-29"):
        assert verify_list(shown.resolve()) == []
        assert (shown / "worklist.csv").read_text() in ("old", "new")
    publish_lists(tmp_path, DAY, writer("new"))
    assert (tmp_path / "current" / "worklist.csv").read_text() == "new"
    assert verify_list((tmp_path / "current").resolve()) == []


def test_only_the_team_may_read(tmp_path):
    folder = publish_lists(tmp_path, DAY, writer("one")).resolve()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert stat.S_IMODE((folder / "owners").stat().st_mode) == 0o750
    assert stat.S_IMODE((folder / "owners" / "csm.csv").stat().st_mode) == 0o640


def test_an_incomplete_list_is_no_predecessor(tmp_path):
    folder = publish_lists(tmp_path, DAY, writer("one"))
    (folder / "_SUCCESS").unlink()
    assert latest_before(tmp_path, NEXT) is None
    assert latest_before(tmp_path / "none", NEXT) is None
