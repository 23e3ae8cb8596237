from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from product_affinity.errors import UsageError
from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.template import copy_template
from product_affinity.project import ModelSpec, load_project
from product_affinity.project.reading import read_yaml


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_template(tmp_path / "project")
    return tmp_path / "project"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_the_template_is_a_valid_project_with_its_data_beside_it(project):
    found = load_project(project)
    assert found.source_path == project / "data"
    assert len(found.catalog) >= 8
    assert found.families
    assert found.model_spec.products == {}


def test_a_folder_with_something_in_it_is_not_overwritten(project, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        copy_template(project)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        copy_template(tmp_path / "file" / "project")


def test_the_demo_overwrites_no_data_of_others(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "accounts.parquet").write_text("MINE")
    with pytest.raises(UsageError, match="not empty"):
        make_demo(
            tmp_path,
            accounts=50,
            months=12,
            until=dt.date(2026, 6, 30),
            seed=1,
            world="shared",
            traps=False,
            progress=print,
        )
    assert (tmp_path / "data" / "accounts.parquet").read_text() == "MINE"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "affinity.toml",
            "horizon_days",
            "horizon_day",
            r"time\.horizon_day: unknown key \(did you mean horizon_days\?\)",
        ),
        ("affinity.toml", "[contracts]", "[contract]", r"contract: unknown key \(did you mean contracts\?\)"),
        (
            "affinity.toml",
            '"UTC"',
            '"Europe/Berlim"',
            r"timezone: unknown time zone \(did you mean Europe/Berlin\?\)",
        ),
        ("affinity.toml", "folds = 4", "folds = 0", r"time\.folds: .*greater than or equal to 1.*found 0"),
        ("affinity.toml", "[project]", "[project", r"affinity\.toml: not readable as TOML"),
        ("models/catalog.yml", "list_arr_usd", "list_arr", r"unknown key \(did you mean list_arr_usd\?\)"),
        (
            "models/defaults.yml",
            "products: {}",
            "products: {crn: {}}",
            r"products\.crn: not in models/catalog\.yml",
        ),
        ("affinity.toml", "subscriptions = 45", "subscriptions = -1", r"fresh_within_days: subscriptions: -1 days"),
        ("models/catalog.yml", "segment: [", "segment: [midmarket, ", r"segment.*'mid_market'.*midmarket"),
        ("models/catalog.yml", "name: Sales CRM", "name: Sales CRM\0", r"catalog\.yml: not readable as YAML"),
        (
            "models/defaults.yml",
            "offset: commercial_recent_rate",
            "offset: commercial_recent",
            r"did you mean commercial_recent_rate",
        ),
        (
            "playbook/gates.yml",
            "column: open_urgent,",
            "column: open_urgents,",
            r"did you mean open_urgent",
        ),
        ("playbook/gates.yml", "unblocked_by:", "unblockd_by:", r"playbook/gates\.yml: .*unblockd_by.*unblocked_by"),
        ("features/usage.yml", "clip: [0, 2]", "clip: [2, 0]", r"features/usage\.yml: .*lower bound 2 is not below"),
        (
            "features/usage.yml",
            "[, {moved} {previous:.1f} in",
            "[, {moved} {previous:.1q} in",
            r"features/usage\.yml: .*Unknown format code",
        ),
        ("models/defaults.yml", "random_state: 0", "random_state: x", r"estimator\.random_state"),
    ],
)
def test_a_typo_stops_with_file_key_and_closest_match(project, file, old, new, message):
    edit(project / file, old, new)
    with pytest.raises(UsageError, match=message):
        load_project(project)


def test_every_fault_of_a_file_is_told_at_once(project):
    edit(project / "affinity.toml", "horizon_days", "horizon_day")
    edit(project / "affinity.toml", "maturity_days", "maturity_day")
    with pytest.raises(UsageError) as caught:
        load_project(project)
    assert str(caught.value).count("unknown key") == 2


@pytest.mark.parametrize("missing", ["affinity.toml", "models/catalog.yml"])
def test_a_missing_file_is_one_line(project, missing):
    (project / missing).unlink()
    with pytest.raises(UsageError, match=r"not found|No such file"):
        load_project(project)


def test_a_project_without_features_is_one_line(project):
    (project / "features").rename(project / "elsewhere")
    with pytest.raises(UsageError, match="features") as caught:
        _ = load_project(project).families
    assert "\n" not in str(caught.value)


class TestYaml:
    def test_no_stays_a_string(self, tmp_path):
        (tmp_path / "a.yml").write_text("country: NO\nflag: yes\n")
        assert read_yaml(tmp_path / "a.yml") == {"country": "NO", "flag": "yes"}

    def test_duplicate_keys_are_refused_with_their_line(self, tmp_path):
        (tmp_path / "a.yml").write_text("a: 1\nb: 2\na: 3\n")
        with pytest.raises(UsageError, match=r"a\.yml:3: .*duplicate key"):
            read_yaml(tmp_path / "a.yml")


def test_the_shipped_playbook_loads_with_its_safety_gates(project):
    playbook = load_project(project).playbook
    assert [gate.code for gate in playbook.gates.safety][:4] == ["G02", "G03", "G04", "G05"]
    assert playbook.triggers.triggers
    assert playbook.readiness.criteria


def test_a_project_without_a_playbook_asks_for_nothing(project):
    shutil.rmtree(project / "playbook")
    playbook = load_project(project).playbook
    assert not playbook.gates.safety
    assert not playbook.triggers.triggers
    assert not playbook.readiness.criteria


def test_every_source_column_is_documented():
    from product_affinity.schema import TABLES

    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    sections = {part.split()[0]: part for part in page.split("\n## ")[1:]}
    assert sections.keys() == TABLES.keys()
    for name, table in TABLES.items():
        documented = [line.split("|")[1].strip() for line in sections[name].splitlines() if line.startswith("| ")][1:]
        assert documented == [column.name for column in table.columns]


def test_every_setting_is_documented():
    from product_affinity.project.settings import Settings

    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    for section, field in Settings.model_fields.items():
        part = page.split(f"## [{section}]")[1].split("\n## ")[0]
        documented = [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")]
        assert documented == list(field.annotation.model_fields)


def test_a_product_overrides_only_what_it_names():
    spec = ModelSpec.model_validate(
        {"label": {"winback_after_days": 180}, "products": {"crm": {"label": {"pending_days": 30}}}}
    )
    assert (spec.label_of("crm").winback_after_days, spec.label_of("crm").pending_days) == (180, 30)
    assert (spec.label_of("mail").winback_after_days, spec.label_of("mail").pending_days) == (180, 180)
