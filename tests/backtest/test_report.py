"""The report: self-contained, safe against what stands in the data, the same bytes each time."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from product_affinity.backtest import write_report
from product_affinity.backtest.report import render_report
from product_affinity.backtest.svg import Axis, Chart, ticks, whisker
from tests.backtest import scored

AS_OF = dt.date(2026, 1, 31)
VOID = {"meta", "link", "br", "img"}


@pytest.fixture(scope="module")
def result():
    return scored.result()


@pytest.fixture(scope="module")
def page(result) -> str:
    return render_report(result, project="A & B <i>", as_of=AS_OF)


class _Nesting(HTMLParser):
    """Elements opened and not closed, and every id, link and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        named = dict(attrs)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named["href"]] if "href" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def parsed(page) -> _Nesting:
    parser = _Nesting()
    parser.feed(page)
    return parser


def test_it_is_well_formed_and_its_links_lead_somewhere(parsed) -> None:
    assert parsed.open == []
    assert parsed.wrong == []
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)


def test_nothing_comes_from_outside_and_nothing_runs(page, parsed) -> None:
    assert not parsed.seen & {"script", "link", "img", "iframe", "object", "embed"}
    assert not re.search(r"https?:|url\(|@import|\bon\w+=|\bstyle=", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = policy[1].replace("&#39;", "'")
    assert allowed == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_names_from_the_data_are_text(page, parsed) -> None:
    assert "<b>big</b>" not in page
    assert "<b>big</b>" in parsed.words
    assert "Backtest of A & B <i>" in parsed.words
    assert "baseline affinity left out: <none>" in parsed.words


def test_every_table_names_a_base_rate_or_compares_with_it(page) -> None:
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) >= 9
    without = [table for table in tables if "base rate" not in table]
    # differences need none, overlaps are no figure of a model
    assert len(without) == 2
    assert "Blend minus baseline" in without[0]
    assert "first tenth that stays" in without[1]


def test_figures_are_those_of_the_result(result, page) -> None:
    row = result.overall.set_index(["population", "model", "metric"]).loc[("first_time", "blend", "auc_within")]
    assert f"{row['value']:.3f}<small>{row['low']:.3f} … {row['high']:.3f}</small>" in page
    counts = result.counts.set_index("population").loc["first_time"]
    assert f"{100 * counts['adoptions'] / counts['pairs']:.2f} %" in page


def test_it_says_who_loses(result) -> None:
    # popularity as it is, and a blend that is noise: every baseline that knows anything beats it
    noise = np.random.default_rng(1).random(len(result.predictions))
    lost = scored.result(n_resamples=60, blend=noise, logistic=result.predictions["blend"])
    text = render_report(lost, project="x", as_of=AS_OF)
    assert "is beaten beyond chance by logistic" in text
    assert "it promised too much, beyond chance" in text
    assert "No better than the base rate (log-loss skill below 0) in 2 of 2 products" in text


def test_products_above_their_base_rate_are_not_called_weak(page) -> None:
    assert "No better than the base rate" not in page


def test_same_result_same_bytes(result, page, tmp_path) -> None:
    write_report(tmp_path / "report.html", result, project="A & B <i>", as_of=AS_OF)
    assert (tmp_path / "report.html").read_text("utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_company_with_hardly_any_adoption_still_has_a_report() -> None:
    rows = scored.predictions()
    adopted = np.zeros(len(rows), dtype=int)
    adopted[rows.query("status == 'white_space' and not is_winback").index[:2]] = 1
    small = scored.result(n_resamples=5, adopted=adopted)
    text = render_report(small, project="x", as_of=AS_OF)
    assert "No product has 20 adoptions" in text
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", text.lower())


def test_marks_lie_where_their_values_are() -> None:
    chart = Chart("t", Axis("x", 0, 10, (0,), str), Axis("y", 1, 100, (1,), str, is_log=True), width=188, height=158)
    chart.dot(5, 10, "m0", says="half way")
    chart.line([(0, 1), (float("nan"), 3), (10, 100)], "m1")
    svg = chart.svg()
    # the plot is 100 × 100 pixels from (62, 12); 10 is half way from 1 to 100 in logarithms
    assert 'cx="112.0" cy="62.0"' in svg
    assert 'points="62.0,112.0 162.0,12.0"' in svg


def test_whisker_draws_nothing_without_a_figure() -> None:
    nan = float("nan")
    assert whisker(nan, nan, nan, ends=(0, 1), mark=0, style="m0") == ""
    assert "bar" not in whisker(0.5, nan, nan, ends=(0, 1), mark=0, style="m0")
    drawn = whisker(0.5, 0.25, 9.0, ends=(0, 1), mark=0, style="m0")
    # an interval beyond the scale ends at it
    assert 'x1="32.0" y1="7" x2="116.0"' in drawn


@pytest.mark.parametrize(("low", "high"), [(0, 0.0123), (0.3, 7), (-0.2, 0.1), (0, 1)])
def test_ticks_are_few_and_within(low, high) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
