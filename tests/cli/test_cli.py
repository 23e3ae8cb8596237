from __future__ import annotations

import subprocess
import sys

import pytest

from product_affinity import cli
from product_affinity.cli.app import parse_as_of
from product_affinity.errors import UsageError


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["affinity", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code
    return 0


def test_help_names_the_commands(monkeypatch, capsys):
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for command in ("demo", "check", "features", "backtest", "train", "promote", "score", "nightly"):
        assert command in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nigthly",), "nigthly"),
        (("check", "--as-of", "30.06.2026"), "--as-of 30.06.2026: not a date like 2026-06-30"),
        (("check", "--project", "/nonexistent/here"), "affinity.toml: not found"),
        (("demo",), "FOLDER"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_2(monkeypatch, capsys, arguments, words):
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert words.lower() in shown.err.lower()
    assert "Traceback" not in shown.err
    assert len(shown.err.strip().splitlines()) == 1


def test_as_of_is_parsed_strictly():
    assert str(parse_as_of("2026-06-30")) == "2026-06-30"
    with pytest.raises(UsageError, match="not a date"):
        parse_as_of("yesterday")


def test_help_imports_nothing_heavy():
    code = (
        "import sys, product_affinity.cli.app\n"
        "heavy = {'pandas', 'numpy', 'duckdb', 'lightgbm', 'sklearn', 'mlflow', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
