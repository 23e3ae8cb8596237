"""The web page in a real Chromium: what a reader sees and does, offline, with hostile names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from product_affinity.lists.site import write_site
from tests import plays as made
from tests.lists.site_cases import empty_site, site_data

CHROMIUM = Path("/usr/bin/chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium at /usr/bin/chromium")
expect = sync_api.expect
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "javascript:alert(1)",
    "'\"><svg onload=alert(1)>",
    "&lt;b&gt;{{ 7*7 }}",
    "\u202emoc.live\u202c\u2028\u0000",
)


class Reader:
    """A page in the browser and everything it complained about or asked the network for."""

    def __init__(self, page: sync_api.Page, site: Path) -> None:
        self.page, self.site = page, site
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self._saw(request.url))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def _saw(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.faults.append(f"request: {url}")

    def open(self, address: str = "#/", file: str = "index.html") -> sync_api.Page:
        self.page.goto("about:blank")
        self.page.goto(f"file://{self.site / file}{address}")
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, site_data(120, 70, 3))
    return folder / "site"


@pytest.fixture
def reader(browser: sync_api.Browser, site: Path) -> Iterator[Reader]:
    context = browser.new_context(viewport={"width": 1366, "height": 820}, color_scheme="light")
    one = Reader(context.new_page(), site)
    yield one
    context.close()
    assert one.faults == []


def cells(page: sync_api.Page, column: int) -> list[str]:
    return page.locator(f"table.grid tbody tr > :nth-child({column})").all_inner_texts()


def test_every_page_opens_without_a_complaint_or_a_request(reader: Reader) -> None:
    account = made.plays(1)["account_id"].iloc[0]
    headings = {
        "#/": "This list at a glance",
        "#/worklist": "Worklist",
        f"#/account/{account}": "Upland Partners",
        f"#/account/{account}?view=customer": "Upland Partners",
        "#/products": "Products",
        "#/product/knowledge_base": "Knowledge Base",
        "#/watchlist": "Watchlist",
        "#/account/nobody": "No such account here",
        "#/account/%E0%A4%A": "No such account here",
    }
    for address, heading in headings.items():
        expect(reader.open(address).locator("h1")).to_have_text(heading)


def test_the_policy_lets_nothing_else_run(browser: sync_api.Browser, site: Path) -> None:
    page = browser.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto(f"file://{site / 'index.html'}")
    refused = page.evaluate(
        """() => [
          () => {
            const script = document.createElement('script');
            script.textContent = "document.title = 'ran'";
            document.body.append(script);
          },
          () => { document.body.innerHTML = '<b>x</b>'; },
          () => { document.body.setAttribute('onclick', "document.title = 'ran'"); },
          () => {
            const style = document.createElement('style');
            style.textContent = 'body { display: none }';
            document.head.append(style);
          },
          () => {
            const picture = document.createElement('img');
            picture.src = 'https://tracker.example/x.png';
            document.body.append(picture);
          },
        ].filter((attempt) => { try { attempt(); return false; } catch { return true; } }).length"""
    )
    page.wait_for_timeout(100)
    assert refused == 3  # script, markup and handler throw; style and picture are blocked in silence
    assert any("img-src" in words for words in blocked)
    assert any("style-src" in words for words in blocked)
    assert page.title() != "ran"
    assert page.locator("main h1").is_visible()
    page.close()


def test_worklist_filters_sorts_and_pages(reader: Reader) -> None:
    page = reader.open("#/worklist")
    rows = made.plays(120)
    expect(page.locator("table.grid tbody tr")).to_have_count(50)
    expect(page.locator(".count").first).to_have_text("1–50 of 120 rows")
    page.get_by_role("button", name="Next →").first.click()
    expect(page.locator(".count").first).to_have_text("51–100 of 120 rows")

    page.get_by_label("Product", exact=True).select_option("sales_crm")
    matching = rows[rows["product_id"].eq("sales_crm")]
    expect(page.locator(".count").first).to_have_text(f"1–{len(matching)} of {len(matching)} rows")
    assert "product=sales_crm" in page.url

    page.get_by_role("button", name="Chance").click()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Chance")
    seen = [float(text.split(" ")[0]) for text in cells(page, 4)]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(matching)
    page.get_by_role("button", name="Chance").click()
    assert [float(text.split(" ")[0]) for text in cells(page, 4)] == sorted(seen)

    page.get_by_label("Search").fill("bay foods")
    wanted = matching[matching["account_name"].str.startswith("Bay Foods")]
    expect(page.locator("table.grid tbody tr")).to_have_count(len(wanted))
    expect(page.locator("#announce")).to_have_text(f"{len(wanted)} rows of 120")
    page.reload()  # the address keeps it all
    expect(page.locator("table.grid tbody tr")).to_have_count(len(wanted))
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".count").first).to_have_text("1–50 of 120 rows")
    page.get_by_label("Search").fill("nobody at all")
    expect(page.locator(".empty")).to_have_text("No row matches these filters.")


def test_missing_values_sort_last_either_way(reader: Reader) -> None:
    page = reader.open("#/worklist?sort=renewal.ascending&page=3")
    assert set(cells(page, 8)) == {"–"}
    page = reader.open("#/worklist?sort=renewal.descending&page=3")
    assert set(cells(page, 8)) == {"–"}


def test_untouched_rows_of_the_overview_are_those_of_the_worklist(reader: Reader) -> None:
    rows = made.plays(120)
    untouched = rows[rows["days_on_list"].ge(14) & rows["status"].eq("")]
    page = reader.open()
    tile = page.locator("a.tile", has_text="untouched for 14 days")
    expect(tile.locator(".value")).to_have_text(str(len(untouched)))
    tile.click()
    expect(page.locator(".count").first).to_contain_text(f"of {len(untouched)} rows")


def test_everything_is_reached_with_the_keyboard(reader: Reader) -> None:
    page = reader.open("#/worklist")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert page.url.endswith("#/worklist")
    sort = page.get_by_role("button", name="Value")
    sort.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Value")).to_be_focused()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Value")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()  # a new page is read from its heading
    chart = page.get_by_role("img", name="Active users a day")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".readout").first).to_contain_text("2026-06-23: ")


def test_tables_and_landmarks_tell_a_screen_reader_what_they_are(reader: Reader) -> None:
    page = reader.open("#/worklist")
    assert page.locator("html").get_attribute("lang") == "en"
    for role in ("banner", "main", "contentinfo", "search"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Pages", exact=True).locator("[aria-current=page]")).to_have_text(
        "Worklist"
    )
    expect(page.get_by_role("table", name="Worklist, one row an account")).to_have_count(1)
    assert page.locator("table.grid thead th:not([scope=col])").count() == 0
    assert page.locator("table.grid tbody tr").first.locator("th[scope=row]").count() == 1
    for address in ("#/", "#/worklist", "#/account/00001", "#/product/knowledge_base", "#/watchlist"):
        page = reader.open(address)
        assert page.locator("h1").count() == 1
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input, select')].filter((one) =>
                 !(one.textContent || one.getAttribute('aria-label') || one.labels?.length)).length"""
        )
        assert unnamed == 0
        repeated = page.evaluate(
            """() => { const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
                       return ids.length - new Set(ids).size; }"""
        )
        assert repeated == 0, address


# WCAG 2.1, 1.4.3: relative luminance of text and of the first opaque ground under it.
CONTRAST = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length < 4 ? [...parts, 1] : parts;
  };
  const linear = (part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const low = [];
  for (const element of document.querySelectorAll('body *')) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || element.disabled || !element.getClientRects().length) continue;
    if (element.closest('script, .sr-only, .skip, [aria-hidden]')) continue;
    const style = getComputedStyle(element);
    const ink = light(parse(element instanceof SVGElement ? style.fill : style.color));
    const paper = light(ground(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5 || style.opacity < 1) low.push([element.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(reader: Reader, scheme: str) -> None:
    reader.page.emulate_media(color_scheme=scheme)
    for address in ("#/", "#/worklist", "#/account/00001", "#/product/knowledge_base", "#/watchlist"):
        page = reader.open(address)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(CONTRAST) == [], address


def test_the_theme_follows_the_system_until_it_is_chosen(reader: Reader) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = reader.open()
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert dark != light
    button = page.get_by_role("button", name="Theme")
    button.click()
    expect(button).to_have_text("Theme: dark")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == dark
    button.click()
    expect(button).to_have_text("Theme: light")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light


def test_account_page_tells_the_whole_story(reader: Reader) -> None:
    page = reader.open("#/account/00001")
    play = made.plays(1).iloc[0]
    for words in (
        play["reason_1"],
        play["talk_track"],
        play["problem_statement"],
        play["route_reason"],
        play["next_step"],
    ):
        expect(page.locator("main")).to_contain_text(words)
    for title in ("What moves the chance", "Products owned", "White space", "Usage", "Health", "Problems and tickets",
                  "Gates and readiness", "Plays, deals and outcomes", "Earlier lists"):  # fmt: skip
        expect(page.get_by_role("heading", name=title, exact=True)).to_have_count(1)
    expect(page.locator("svg.chart")).to_have_count(3)
    assert page.get_by_role("link", name="Open in the CRM").get_attribute("href") == play["crm_url"]


@pytest.mark.parametrize("width", [1280, 1024])
def test_no_page_is_wider_than_a_small_laptop(reader: Reader, width: int) -> None:
    reader.page.set_viewport_size({"width": width, "height": 720})
    for address in ("#/", "#/worklist", "#/account/00001", "#/product/knowledge_base", "#/products", "#/watchlist"):
        page = reader.open(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_customer_safe_view_holds_nothing_internal(reader: Reader) -> None:
    page = reader.open("#/account/00001")
    play = made.plays(1).iloc[0]
    page.get_by_role("link", name="Customer-safe view").click()
    expect(page.get_by_role("link", name="Close")).to_be_visible()
    shown = page.evaluate(
        "[...document.body.children].filter((one) => one.tagName !== 'SCRIPT').map((one) => one.textContent).join(' ')"
    )
    assert play["reason_1"] in shown
    assert play["product_name"] in shown
    internal = (play["caution"], play["talk_track"], play["problem_statement"], "R10", "health", "Health", "propensity",
                "chance", "12,000", "$", "Tier", "log-odds", "deal lost", "Worklist", "rank")  # fmt: skip
    assert [words for words in internal if words in shown] == []
    assert page.title() == play["account_name"]


def test_an_owners_page_holds_that_owners_accounts_and_names_no_contact(reader: Reader) -> None:
    name = made.plays(1)["stakeholder_name"].iloc[0]
    assert name not in reader.open("#/account/00001").content()
    assert name not in reader.open("#/account/00001", "owners/U-001.html").content()
    page = reader.open("#/worklist", "owners/U-002.html")
    assert name not in page.content()
    mine = int(made.plays(120)["owner_id"].eq("U-002").sum())
    expect(page.locator("table.grid tbody tr")).to_have_count(mine)


def test_hostile_names_are_text(browser: sync_api.Browser, tmp_path: Path) -> None:
    n = len(HOSTILE)
    data = site_data(
        n,
        account_name=HOSTILE, account_id=[f"id {i} {text}" for i, text in enumerate(HOSTILE)], product_name=HOSTILE,
        reason_1=HOSTILE, problem_statement=HOSTILE, talk_track=HOSTILE, owner_name=HOSTILE, crm_url=HOSTILE,
        caution=HOSTILE, trigger_evidence=HOSTILE,
    )  # fmt: skip
    write_site(tmp_path, data)
    reader = Reader(browser.new_page(), tmp_path / "site")
    page = reader.open("#/worklist")
    expect(page.locator("table.grid tbody tr")).to_have_count(n)
    shown = page.locator("tbody th a").all_inner_texts()
    assert set(HOSTILE[:5]) < set(shown)
    assert not any(mark in "".join(shown) for mark in "\u202e\u202c\u2028\u0000")
    addresses = [anchor.get_attribute("href") or "" for anchor in page.locator("tbody th a").all()]
    for address, name in zip(addresses, shown, strict=True):
        page.evaluate("(address) => { location.hash = address; }", address)
        expect(page.locator("h1")).to_have_text(name.strip())
        assert page.locator("a.out").count() == 0  # none of these is a web address
        assert page.locator("main script, main img").count() == 0
        assert page.title().startswith(name.strip()[:5])
    expect(reader.open("#/", "owners/U-001.html").locator("h1")).to_have_text(f"{HOSTILE[0]}: this list at a glance")
    assert reader.faults == []
    page.close()


def test_an_empty_list_explains_itself(browser: sync_api.Browser, tmp_path: Path) -> None:
    write_site(tmp_path, empty_site())
    reader = Reader(browser.new_page(), tmp_path / "site")
    page = reader.open()
    for words in (
        "Why is this list empty?",
        "40 pairs: worth less than a play costs",
        "7 pairs: not proposed this period",
    ):
        expect(page.locator("main")).to_contain_text(words)
    expect(reader.open("#/worklist").locator("main")).to_contain_text("No play is listed.")
    expect(reader.open("#/watchlist").locator("main")).to_contain_text("No gate holds anything back.")
    assert reader.faults == []
    page.close()


@pytest.mark.slow
def test_five_thousand_accounts(browser: sync_api.Browser, tmp_path: Path) -> None:
    started = time.perf_counter()
    write_site(tmp_path, site_data(5_000, 5_000, 200))
    written = time.perf_counter() - started
    size = (tmp_path / "site" / "index.html").stat().st_size
    reader = Reader(browser.new_page(), tmp_path / "site")
    page = reader.open("#/worklist")
    expect(page.locator("table.grid tbody tr")).to_have_count(50)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    started = time.perf_counter()
    page.get_by_role("button", name="Chance").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_count(1)
    sorted_in = time.perf_counter() - started
    started = time.perf_counter()
    page.locator("tbody th a").first.click()
    expect(page.locator("svg.chart")).to_have_count(3)
    opened_in = time.perf_counter() - started
    print(
        f"\n5,000 accounts: written in {written:.1f} s, common page {size / 1e6:.1f} MB, first paint {painted:.0f} ms, "
        f"sorted in {1000 * sorted_in:.0f} ms, account opened in {1000 * opened_in:.0f} ms"
    )
    assert size < 15e6
    assert painted < 10_000
    assert reader.faults == []
    page.close()
