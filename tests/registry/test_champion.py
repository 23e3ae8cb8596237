from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from product_affinity.errors import BundleError, LockedError
from product_affinity.registry import lock
from product_affinity.registry.bundle import write_bundle
from product_affinity.registry.champion import (
    champion,
    install,
    intact_champion,
    latest_challenger,
    record_refusal,
    rollback,
    write_challenger,
)


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def first(tmp_path, content):
    return write_bundle(tmp_path / "first", **content)


@pytest.fixture
def second(tmp_path, other_content):
    return write_bundle(tmp_path / "second", **other_content)


def promotions(var: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (var / "promotions.jsonl").read_text().splitlines()]


def pointers(var: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in sorted(var.iterdir()) if path.is_symlink()}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_none_yet(var):
    with pytest.raises(BundleError, match="no champion: run `affinity train` and `affinity promote`") as caught:
        champion(var)
    assert caught.value.exit_code == 13
    with pytest.raises(BundleError, match="no challenger: run `affinity train`"):
        latest_challenger(var)
    with pytest.raises(BundleError, match="no previous champion"):
        rollback(var, why="x", at="2026-06-30")


def test_install_copies_points_and_records(var, first):
    installed = install(var, first.folder, why="first install", at="2026-06-30")
    assert installed.version == champion(var).version == first.version
    assert installed.folder == var / "bundles" / first.version
    assert pointers(var) == {"champion": f"bundles/{first.version}"}
    assert snapshot(installed.folder) == snapshot(first.folder)
    entry = {"at": "2026-06-30", "event": "promoted", "version": first.version, "previous": None}
    assert promotions(var) == [entry | {"why": "first install"}]


def test_champion_needs_nothing_but_var(var, first, tmp_path):
    install(var, first.folder, why="first install", at="2026-06-30")
    shutil.rmtree(first.folder)
    moved = tmp_path / "moved"
    var.rename(moved)
    assert champion(moved).version == first.version


def test_repeated_install_changes_nothing(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    install(var, second.folder, why="two", at="2026-06-30")
    before = (pointers(var), promotions(var))
    install(var, second.folder, why="again", at="2026-07-31")
    install(var, var / "champion", why="again", at="2026-07-31")
    assert (pointers(var), promotions(var)) == before


def test_rollback_restores_the_same_bytes_and_goes_forward_again(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    before = snapshot(var / "champion")
    install(var, second.folder, why="two", at="2026-06-30")
    assert champion(var).version == second.version
    assert rollback(var, why="lists looked wrong", at="2026-07-01").version == first.version
    assert snapshot(var / "champion") == before
    assert pointers(var) == {
        "champion": f"bundles/{first.version}",
        "champion.previous": f"bundles/{second.version}",
    }
    assert rollback(var, why="they were right", at="2026-07-02").version == second.version
    assert [(line["version"], line["previous"]) for line in promotions(var)] == [
        (first.version, None),
        (second.version, first.version),
        (first.version, second.version),
        (second.version, first.version),
    ]


def test_rollback_stopped_at_any_step_is_finished_by_the_next(tmp_path, var, first, second, monkeypatch):
    install(var, first.folder, why="one", at="2026-05-31")
    install(var, second.folder, why="two", at="2026-06-30")
    for count in range(1, 100):
        home = Path(shutil.copytree(var, tmp_path / f"stop{count}", symlinks=True))
        with monkeypatch.context() as patch:
            seen = stop_at(patch, "replace", count)
            try:
                rollback(home, why="wrong", at="2026-07-01")
            except Stop:
                # before the first rename the one undone still scores, from then on the restored one
                assert champion(home).version == (second.version if count == 1 else first.version)
        if len(seen) < count:
            break
        if len(promotions(home)) == 2 and pointers(home)["champion.previous"] != f"bundles/{second.version}":
            rollback(home, why="wrong", at="2026-07-01")
            assert [line["event"] for line in promotions(home)] == ["promoted", "promoted", "rolled_back"]
            assert pointers(home) == {
                "champion": f"bundles/{first.version}",
                "champion.previous": f"bundles/{second.version}",
            }
    # three renames: champion, previous, log
    assert count == 4


def test_a_refusal_is_written_down_once_and_moves_nothing(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    before = pointers(var)
    for _ in range(2):
        record_refusal(var, second.version, why="P06 observed ÷ expected 2.1", at="2026-06-30")
    assert pointers(var) == before
    assert [(line["event"], line["version"]) for line in promotions(var)] == [
        ("promoted", first.version),
        ("refused", second.version),
    ]
    install(var, second.folder, why="two", at="2026-07-31")
    assert [line["event"] for line in promotions(var)] == ["promoted", "refused", "promoted"]


def test_lines_of_the_first_release_count_as_promotions(var, first):
    install(var, first.folder, why="one", at="2026-05-31")
    line = json.loads((var / "promotions.jsonl").read_text())
    del line["event"]
    (var / "promotions.jsonl").write_text(json.dumps(line) + "\n")
    install(var, first.folder, why="again", at="2026-06-30")
    assert len(promotions(var)) == 1


def test_challenger_is_the_bundle_trained_last_and_leaves_the_champion(var, content, other_content):
    one = write_challenger(var, **content)
    install(var, one.folder, why="first install", at="2026-06-30")
    two = write_challenger(var, **other_content)
    assert latest_challenger(var).version == two.version != one.version
    assert champion(var).version == one.version
    assert write_challenger(var, **content).version == one.version == latest_challenger(var).version


class Stop(BaseException):
    """A kill: nothing but `finally` runs after it."""


def stop_at(monkeypatch, name: str, count: int) -> list[str]:
    """Stop in place of the `count`-th call of `os.<name>`; the list shows the calls seen."""
    seen: list[str] = []
    real = getattr(os, name)

    def stopping(*args, **kwargs):
        seen.append(str(args[-1]))
        if len(seen) == count:
            raise Stop
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, stopping)
    return seen


def test_a_stop_at_any_step_leaves_old_or_new_and_a_rerun_finishes(tmp_path, var, first, second, monkeypatch):
    install(var, first.folder, why="one", at="2026-05-31")
    outcomes = []
    for name in ("replace", "fsync"):
        for count in range(1, 100):
            home = Path(shutil.copytree(var, tmp_path / f"{name}{count}", symlinks=True))
            with monkeypatch.context() as patch:
                seen = stop_at(patch, name, count)
                try:
                    install(home, second.folder, why="two", at="2026-06-30")
                except Stop:
                    outcomes.append(champion(home).version)
            assert not list(home.rglob("*.partial"))
            install(home, second.folder, why="two", at="2026-06-30")
            assert champion(home).version == second.version
            assert pointers(home)["champion.previous"] == f"bundles/{first.version}"
            assert [line["version"] for line in promotions(home)] == [first.version, second.version]
            if len(seen) < count:
                break
    # four renames (bundle, previous, champion, log): stopped before the third the old one still scores
    assert outcomes[:4] == [first.version] * 3 + [second.version]
    assert set(outcomes) == {first.version, second.version}


def test_damaged_bundle_is_not_installed(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    (second.folder / "metrics.json").write_text("{}")
    with pytest.raises(BundleError, match="altered"):
        install(var, second.folder, why="two", at="2026-06-30")
    assert pointers(var) == {"champion": f"bundles/{first.version}"}
    assert [path.name for path in (var / "bundles").iterdir()] == [first.version]


def test_training_again_mends_a_damaged_bundle(var, content):
    written = write_challenger(var, **content)
    install(var, written.folder, why="one", at="2026-05-31")
    assert intact_champion(var).version == written.version
    (written.folder / "metrics.json").write_text("{}")
    assert intact_champion(var) is None
    with pytest.raises(BundleError, match="affinity train"):
        champion(var)
    write_challenger(var, **content)
    assert champion(var).version == latest_challenger(var).version == written.version


def test_champion_that_was_exchanged_is_refused(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    shutil.rmtree(var / "bundles" / first.version)
    shutil.copytree(second.folder, var / "bundles" / first.version)
    with pytest.raises(BundleError, match=f"holds the bundle {second.version}, not {first.version}"):
        champion(var)


@pytest.mark.parametrize("target", ["../elsewhere", "bundles", "/etc", "bundles/../../elsewhere"])
def test_pointer_that_leads_elsewhere_is_refused(var, first, target):
    install(var, first.folder, why="one", at="2026-05-31")
    (var / "champion").unlink()
    (var / "champion").symlink_to(target)
    for use in (champion, lambda var: install(var, first.folder, why="two", at="2026-06-30")):
        with pytest.raises(BundleError, match="not a link to bundles/<version>"):
            use(var)


def test_folder_in_place_of_the_pointer_is_refused(var, first):
    install(var, first.folder, why="one", at="2026-05-31")
    (var / "champion").unlink()
    shutil.copytree(first.folder, var / "champion")
    with pytest.raises(BundleError, match="not a link"):
        champion(var)


def test_unreadable_log_stops_and_stays(var, first, second):
    install(var, first.folder, why="one", at="2026-05-31")
    (var / "promotions.jsonl").write_text("torn {\n")
    with pytest.raises(BundleError, match=r"promotions.jsonl: a line is no promotion"):
        install(var, second.folder, why="two", at="2026-06-30")
    assert (var / "promotions.jsonl").read_text() == "torn {\n"
    assert champion(var).version == first.version


def test_reason_survives_any_text(var, first):
    why = 'line\nbreak, "quotes", \u2028 and ✓'
    install(var, first.folder, why=why, at="2026-06-30")
    lines = (var / "promotions.jsonl").read_bytes().split(b"\n")
    assert len(lines) == 2
    assert json.loads(lines[0])["why"] == why


def test_second_writer_waits_and_then_gives_up(var, first, monkeypatch):
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    var.mkdir()
    with (
        FileLock(var / "registry.lock"),
        pytest.raises(LockedError, match="held by another") as caught,
    ):
        install(var, first.folder, why="one", at="2026-06-30")
    assert caught.value.exit_code == 75
    assert install(var, first.folder, why="one", at="2026-06-30").version == first.version
