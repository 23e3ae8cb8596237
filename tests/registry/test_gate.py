"""The gate on evidence whose truth is known: what ought to pass passes, and every way to be fooled is refused."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from product_affinity.errors import BundleError, RefusedError, UsageError
from product_affinity.project.model_spec import GateSpec, ModelSpec
from product_affinity.project.reading import validate
from product_affinity.registry.checks import rank_agreement, top_overlap
from product_affinity.registry.evidence import Evidence, read_evidence, write_evidence
from product_affinity.registry.gate import GateReport, check_challenger
from tests.registry.evidences import FOLDS, TRAINED, evidence, log_odds, probability, rows_of_two_folds

AS_OF = TRAINED
ROWS = rows_of_two_folds()


def judged(found: Evidence, as_of: dt.date = AS_OF, **gate: object) -> GateReport:
    return check_challenger(found, ModelSpec(gate=GateSpec(**({"n_resamples": 60} | gate))), as_of=as_of)


def shares(name: str, share: float, inputs: int = 40) -> tuple[tuple[str, float], ...]:
    """One input with a share of the gain; the others have the rest in equal parts."""
    others = tuple((f"usage_{k:02d}", (1 - share) / (inputs - 1)) for k in range(inputs - 1))
    return ((name, share), *others)


def refused(report: GateReport) -> list[str]:
    return [check.code for check in report.refusals]


def state(report: GateReport, code: str) -> str:
    return next(check.state for check in report.checks if check.code == code)


@pytest.fixture(scope="module")
def good():
    return judged(evidence())


def test_a_good_challenger_passes_every_check(good):
    assert {check.code: check.state for check in good.checks} == {f"P{k:02d}": "passed" for k in range(1, 12)}
    assert good.words == "passed 11 of 11 checks"
    good.raise_if_refused()


def test_without_champion_the_baselines_decide():
    report = judged(evidence(champion=None, champion_trained_as_of=None, comparison="no_champion"))
    assert not report.refusals
    assert [state(report, code) for code in ("P05", "P08")] == ["not_asked"] * 2


def test_shuffled_labels_are_refused():
    rng = np.random.default_rng(5)
    adopted = ROWS.groupby(["fold", "product_id"])["adopted"].transform(lambda values: rng.permutation(values))
    # what a model learns from shuffled labels: the rates, and noise
    noise = probability(log_odds(ROWS["base_rate"]) + rng.normal(0, 0.3, len(ROWS)))
    for columns in ({"adopted": adopted}, {"blend": noise, "bundle": noise}):
        report = judged(evidence(columns=columns))
        assert {"P03", "P04"} <= set(refused(report))
        assert "are the labels right?" in report.words


def test_a_leaking_feature_is_refused():
    """A flag that is set for nearly all adopters before they adopt."""
    knows = probability(log_odds(ROWS["truth"]) + np.where(ROWS["adopted"] == 1, 3.0, -0.3))
    leaking = evidence(columns={"blend": knows, "bundle": knows}, gain_shares=shares("signals_provisioned", 0.6))
    report = judged(leaking)
    assert {"P09", "P10"} <= set(refused(report))
    assert "signals_provisioned" in report.words


def test_a_leak_that_both_sides_have_is_seen_by_the_champions_own_backtest():
    """The source began to leak: today's refit of the champion knows the answer as well."""
    knows = probability(log_odds(ROWS["truth"]) + np.where(ROWS["adopted"] == 1, 3.0, -0.3))
    both = {"blend": knows, "bundle": knows, "champion": knows}
    report = judged(evidence(columns=both, comparison="same_recipe", champion_ap_over_base_rate=2.9))
    assert "P10" in refused(report)
    assert "P05" not in refused(report)
    assert "own backtest" in report.words


def test_a_leak_is_seen_without_a_champion():
    report = judged(evidence(champion=None, comparison="no_champion", gain_shares=shares("signals_provisioned", 0.6)))
    assert refused(report) == ["P09"]


@pytest.mark.parametrize(("share", "expected"), [(0.24, "passed"), (0.3, "warned"), (0.51, "refused")])
def test_one_feature_is_suspicious_before_it_is_refused(share, expected):
    assert state(judged(evidence(gain_shares=shares("a", share))), "P09") == expected


@pytest.mark.parametrize(
    ("share", "inputs", "expected"),
    [
        (0.4, 3, "passed"),  # of three, one has a third or more for certain
        (0.8, 3, "warned"),  # 3 · 0.2² = 12 % of random thirds
        (0.9, 3, "refused"),  # 3 · 0.1² = 3 %
        (1.0, 1, "warned"),  # the only one there is
        (0.4, 10, "passed"),  # 10 · 0.6⁹ − 45 · 0.2⁹ = 10 %
        (0.55, 10, "refused"),  # 10 · 0.45⁹ = 0.8 %
    ],
)
def test_few_features_have_large_shares_by_chance(share, inputs, expected):
    assert state(judged(evidence(gain_shares=shares("a", share, inputs))), "P09") == expected


@pytest.mark.parametrize(("blur", "expected"), [(1.0, "refused"), (0.05, "warned")])
def test_a_baseline_that_ranks_better_is_seen_though_its_level_is_worse(blur, expected):
    """It knows the truth's ranking, at chances that are far too high."""
    truth = log_odds(ROWS["truth"])
    blurred = probability(truth + np.random.default_rng(7).normal(0, blur, len(ROWS)))
    columns = {"blend": blurred, "sharp": probability(truth + 1.5)}
    report = judged(evidence(columns=columns, baselines=("popularity", "sharp")))
    check = next(check for check in report.checks if check.code == "P04")
    assert check.figures["sharp_value"] > 0  # by log-loss it is better than both
    assert check.state == expected
    assert "sharp ranks better" in check.words


def test_a_baseline_that_says_the_same_of_everybody_has_no_slope():
    traces = 0.05 + 1e-9 * np.random.default_rng(8).normal(size=len(ROWS))
    row = next(
        row for row in judged(evidence(columns={"popularity": traces})).figures if row["metric"] == "calibration_slope"
    )
    assert row["popularity"] is None
    assert row["challenger"] == pytest.approx(1, abs=0.2)


def test_the_champion_is_told_from_a_challenger():
    first = judged(evidence(champion=None, champion_trained_as_of=None, comparison="no_champion"))
    installed = replace(first, is_champion=True)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(installed.render())
    shown = capture.get()
    assert "is the champion; judged as at its promotion, against the baselines alone: there was no champion" in shown
    assert "may be promoted" not in shown
    assert "intact" not in shown
    assert (installed.to_json()["promote"], installed.to_json()["is_champion"]) == (False, True)


@pytest.mark.parametrize(("least", "advice"), [(30, "run `affinity train` again"), (10_000, "more history is needed")])
def test_a_bundle_unlike_its_backtest_is_told_what_helps(least, advice):
    shuffled = np.random.default_rng(2).permutation(ROWS["truth"])
    report = judged(evidence(columns={"bundle": shuffled}), min_adoptions=least)
    check = next(check for check in report.checks if check.code == "P11")
    assert advice in check.words


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda logit: logit + 0.7, "observed ÷ expected 0."), (lambda logit: 2 * logit + 2.2, "slope 0.5")],
    ids=["level", "slope"],
)
def test_a_miscalibrated_challenger_is_refused(change, words):
    off = probability(change(log_odds(ROWS["truth"])))
    report = judged(evidence(columns={"blend": off}))
    assert "P06" in refused(report)
    assert words in report.words


def test_a_miscalibrated_bundle_is_refused_though_its_backtest_was_fine():
    off = probability(log_odds(ROWS["truth"]) + 1.5)
    assert refused(judged(evidence(columns={"bundle": off}))) == ["P11"]


def test_a_bundle_that_ranks_otherwise_than_its_backtest_is_refused():
    shuffled = np.random.default_rng(2).permutation(ROWS["truth"])
    assert refused(judged(evidence(columns={"bundle": shuffled}))) == ["P11"]


@pytest.mark.parametrize(
    ("as_of", "sides", "words"),
    [
        (TRAINED + dt.timedelta(days=46), {}, "46 days before 2026-08-15, at most 45 are allowed"),
        (TRAINED - dt.timedelta(days=1), {}, "after 2026-06-29"),
        (TRAINED, {"champion_trained_as_of": TRAINED + dt.timedelta(days=1)}, "before the champion (2026-07-01)"),
    ],
)
def test_a_stale_challenger_is_refused(as_of, sides, words):
    report = judged(evidence(**sides), as_of)
    assert refused(report) == ["P02"]
    assert words in report.words
    with pytest.raises(RefusedError, match=r"is not promoted: P02 .*affinity compare") as caught:
        report.raise_if_refused()
    assert caught.value.exit_code == 12


def test_age_is_allowed_up_to_its_limit():
    assert not judged(evidence(), TRAINED + dt.timedelta(days=45)).refusals


def test_worse_than_the_champion_is_refused_and_equal_is_not():
    blurred = probability(log_odds(ROWS["truth"]) + np.random.default_rng(3).normal(0, 1.5, len(ROWS)) - 0.8)
    report = judged(evidence(columns={"blend": blurred}))
    assert "P05" in refused(report)
    assert "worse than the champion" in report.words
    equal = judged(evidence(columns={"champion": ROWS["truth"]}, comparison="same_recipe"))
    check = next(check for check in equal.checks if check.code == "P05")
    assert check.state == "passed"
    assert {value for name, value in check.figures.items() if name.startswith("log_loss_skill")} == {0.0}


def test_difference_to_the_champion_is_the_difference_of_skills(good):
    def loss(p: pd.Series) -> float:
        return -np.where(ROWS["adopted"] == 1, np.log(p), np.log(1 - p)).sum()

    predictions = evidence().predictions
    by_hand = (loss(predictions["champion"]) - loss(predictions["blend"])) / loss(predictions["base_rate"])
    row = next(row for row in good.figures if row["metric"] == "log_loss_skill")
    assert row["difference"] == pytest.approx(by_hand, rel=1e-9)
    assert row["low"] < row["difference"] < row["high"]


def test_champion_that_cannot_be_compared_is_a_warning_in_words():
    known = evidence(comparison="impossible", changes=("the champion has no model of 90 days",))
    report = judged(Evidence(known.sides, known.predictions.drop(columns="champion"), known.ranking))
    assert state(report, "P05") == "warned"
    assert "the champion has no model of 90 days" in report.words


def test_a_champion_is_judged_on_the_rows_it_has():
    """Only the later fold lies after its training; a champion that is wrong there must not gain from the first."""
    later = ROWS["fold"].eq(FOLDS[-1])
    wrong = probability(-log_odds(ROWS["truth"]) - 5)
    report = judged(evidence(columns={"champion": wrong.where(later)}, comparison="as_it_runs"))
    row = next(row for row in report.figures if row["metric"] == "auc")
    assert row["champion"] < 0.4
    assert row["challenger"] > 0.7


def test_a_group_below_its_floor_is_refused():
    inverted = ROWS["truth"].mask(ROWS["product_id"].eq("mail"), 0.3 - ROWS["truth"].clip(upper=0.29))
    report = judged(evidence(columns={"blend": inverted}))
    assert "P07" in refused(report)
    assert "product mail" in report.words
    assert "product crm" not in report.words


def test_lists_turned_over_are_refused():
    last = ROWS[ROWS["fold"].eq(FOLDS[-1])]
    other = np.random.default_rng(4).random(len(last))
    ranking = last[["account_id", "product_id"]].assign(challenger=last["truth"], champion=other)
    assert refused(judged(evidence(ranking=ranking))) == ["P08"]


def test_too_little_evidence_is_refused():
    few = rows_of_two_folds(accounts=25)
    assert few["adopted"].sum() < 30
    assert "P01" in refused(judged(evidence(rows=few)))


def test_no_adoption_at_all_is_refused_and_no_crash():
    assert {"P01", "P03", "P04"} <= set(refused(judged(evidence(columns={"adopted": 0}))))


def test_win_backs_and_open_deals_do_not_count():
    report = judged(evidence(columns={"is_winback": ROWS["fold"].eq(FOLDS[0])}))
    check = next(check for check in report.checks if check.code == "P01")
    assert check.figures == {"adoptions": ROWS.loc[ROWS["fold"].eq(FOLDS[1]), "adopted"].sum(), "folds": 1}
    assert check.state == "warned"
    assert "P01" in refused(judged(evidence(columns={"status": "in_pipeline"})))


def test_limits_are_settings():
    off = probability(log_odds(ROWS["truth"]) + 0.7)
    wide = {"observed_over_expected": {"low": 0.3, "high": 2.0}}
    margins = {"log_loss_skill": 0.2}
    report = judged(evidence(columns={"blend": off}), champion_margins=margins, **wide)
    assert "P06" not in refused(report)


def test_a_report_is_the_same_each_time_and_plain_json(good):
    again = judged(evidence())
    assert json.dumps(again.to_json(), allow_nan=False) == json.dumps(good.to_json(), allow_nan=False)
    assert good.to_json()["promote"] is True


def test_what_people_see_names_both_sides_the_baseline_and_every_check(good):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(good.render())
    shown = capture.get()
    for word in ("c" * 12, "a" * 12, "popularity", "may be promoted", *(f"P{k:02d}" for k in range(1, 12))):
        assert word in shown


def test_top_overlap_takes_ties_by_account():
    frame = pd.DataFrame({"account_id": ["B", "A", "C", "D"], "product_id": "crm", "champion": [0.2, 0.2, 0.1, 0.1]})
    frame["challenger"] = [0.1, 0.2, 0.3, 0.0]
    # tops of one: A by its name, against C
    assert top_overlap(frame, 0.25) == 0
    # tops of three: A, B, C against C, A, B
    assert top_overlap(frame, 0.75) == 1
    assert top_overlap(frame, 0.5) == 1 / 2


def test_rank_agreement_is_within_products():
    frame = pd.DataFrame(
        {"product_id": ["a"] * 3 + ["b"] * 3, "blend": [1, 2, 3, 7, 8, 9], "bundle": [3, 2, 1, 7, 8, 9]}
    )
    assert rank_agreement(frame) == pytest.approx((-1 + 1) / 2)


class TestKept:
    def test_evidence_reads_back(self, tmp_path):
        written = evidence()
        write_evidence(tmp_path, written)
        found = read_evidence(tmp_path, "c" * 12)
        found.check_against("a" * 12)
        assert found.sides == written.sides
        pd.testing.assert_frame_equal(found.predictions, written.predictions)
        pd.testing.assert_frame_equal(found.ranking, written.ranking.reset_index(drop=True))

    def test_newer_evidence_takes_the_place_of_older(self, tmp_path):
        write_evidence(tmp_path, evidence())
        write_evidence(tmp_path, evidence(champion="b" * 12))
        found = read_evidence(tmp_path, "c" * 12)
        found.check_against("b" * 12)
        with pytest.raises(RefusedError, match=r"tested against b+, and the champion is now a+"):
            found.check_against("a" * 12)
        with pytest.raises(RefusedError, match="the champion is now missing"):
            found.check_against(None)

    def test_evidence_that_a_stop_left_in_pieces_is_made_anew(self, tmp_path):
        folder = write_evidence(tmp_path, evidence())
        (folder / "ranking.parquet").unlink()
        with pytest.raises(BundleError, match=r"ranking\.parquet"):
            read_evidence(tmp_path, "c" * 12)
        write_evidence(tmp_path, evidence())
        read_evidence(tmp_path, "c" * 12).check_against("a" * 12)

    def test_altered_evidence_is_refused(self, tmp_path):
        folder = write_evidence(tmp_path, evidence())
        text = (folder / "evidence.json").read_text()
        (folder / "evidence.json").write_text(text.replace("0.2", "0.1"))
        with pytest.raises(BundleError, match="altered"):
            read_evidence(tmp_path, "c" * 12)

    def test_none_is_refused(self, tmp_path):
        with pytest.raises(RefusedError, match="Run `affinity train`"):
            read_evidence(tmp_path, "c" * 12)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"observed_over_expected": {"low": 1.2, "high": 0.8}}, "low 1.2 is not below high 0.8"),
        ({"warn_gain_share": 0.6, "max_gain_share": 0.5}, "warn_gain_share 0.6 is above max_gain_share"),
        ({"champion_margins": {"auk": 0.1}}, "champion_margins"),
        ({"max_age_day": 3}, r"gate\.max_age_day: unknown key \(did you mean max_age_days\?\)"),
    ],
)
def test_limits_that_make_no_sense_are_told(limits, words):
    with pytest.raises(UsageError, match=words):
        validate(ModelSpec, {"gate": limits}, "models/defaults.yml")
