"""What a browser makes of the report."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from report import page as report
from report.sections import FIGURES
from tests import needs

CHROMIUM = needs.program("chromium", "chromium-browser", "google-chrome")
CONTAINED = ["--no-sandbox", "--disable-dev-shm-usage"]  # as root, and with a small /dev/shm


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        needs.absent("Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=CONTAINED)


@pytest.fixture(scope="module")
def pages(drawings: dict[str, report.Page], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where each page is, for a browser."""
    folder = tmp_path_factory.mktemp("pages")
    for name, page in drawings.items():
        (folder / f"{name}.html").write_text(page.text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in drawings}


@pytest.fixture
def tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A tab of a look: light, dark or narrow."""
    look = getattr(request, "param", "light")
    width, scheme = 390 if look == "narrow" else 1280, "dark" if look == "dark" else "light"
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("tab", ["light", "dark", "narrow"], indirect=True)
@pytest.mark.parametrize("page", ["small", "empty", "crowded"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits(
    tab: Tab, pages: dict[str, str], page: str
) -> None:
    heard: list[str] = []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda request: heard.append(request.url))
    tab.goto(pages[page])
    assert heard == [pages[page]]
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    unlabelled = "svg:not([aria-hidden='true']):not([role='img'][aria-label])"
    assert tab.locator(unlabelled).count() == 0
    assert (tab.locator("svg[role='img']").count() > 10) == (page != "empty")
    assert tab.evaluate("document.querySelectorAll('script, img, link, iframe').length") == 0


# Each text with its color and with what is behind it: of a text in a chart, the mark under its middle.
CONTRAST = """() => {
    const number = text => text.match(/[\\d.]+/g).map(Number);
    const over = (top, alpha, below) =>
        top.slice(0, 3).map((part, at) => part * alpha + below[at] * (1 - alpha));
    const light = color => {
        const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = color.map(part => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = number(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
        }
    };
    const worst = [];
    const note = (element, front, back) => {
        const [high, low] = [light(front), light(back)].sort((one, other) => other - one);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) worst.push(`${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
    };
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || element.closest('svg') || !element.checkVisibility()) continue;
        note(element, number(getComputedStyle(element).color), behind(element));
    }
    for (const picture of document.querySelectorAll("svg[role='img']")) {
        const card = behind(picture);
        const marks = [...picture.querySelectorAll('path, rect')]
            .map(mark => [mark, mark.getBoundingClientRect(), getComputedStyle(mark)])
            .filter(([, , style]) => style.fill.startsWith('rgb'));
        for (const text of picture.querySelectorAll('text')) {
            if (!text.textContent.trim()) continue;
            const box = text.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            let back = card;
            for (const [mark, area, style] of marks) {
                const before = mark.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
                if (before && area.left < x && x < area.right && area.top < y && y < area.bottom)
                    back = over(number(style.fill), style.opacity * style.fillOpacity, back);
            }
            note(text, number(getComputedStyle(text).fill), back);
        }
    }
    return worst;
}"""


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("page", ["small", "empty", "crowded"])
def test_every_text_stands_out_from_what_is_behind_it(tab: Tab, pages: dict[str, str], page: str) -> None:
    tab.goto(pages[page])
    tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.evaluate(CONTRAST) == []


# Texts of a chart that stand on one another, or outside it.
COLLISIONS = """() => {
    const found = [];
    for (const picture of document.querySelectorAll("svg[role='img']")) {
        const frame = picture.getBoundingClientRect();
        const texts = [...picture.querySelectorAll('text')].filter(text => text.textContent.trim())
            .map(text => [text.textContent, text.getBoundingClientRect()]);
        const name = picture.closest('figure, .tile').id;
        texts.forEach(([words, box], at) => {
            if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.bottom > frame.bottom + 2)
                found.push(`${name}: ${words} is cut`);
            for (const [others, other] of texts.slice(at + 1)) {
                const across = Math.min(box.right, other.right) - Math.max(box.left, other.left);
                const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
                if (across > 1 && down > 3) found.push(`${name}: ${words} is on ${others}`);
            }
        });
    }
    return found;
}"""


@pytest.mark.parametrize("page", ["small", "crowded"])
def test_no_label_is_cut_or_covers_another(tab: Tab, pages: dict[str, str], page: str) -> None:
    tab.goto(pages[page])
    assert tab.evaluate(COLLISIONS) == []


@pytest.mark.parametrize("tab", ["narrow"], indirect=True)
def test_a_phone_shows_questions_with_their_bars(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    middle = tab.locator("#answers svg[role='img'] line").first.bounding_box()
    assert middle
    assert 0 < middle["x"] < 250  # the bars go on to either side of it


def test_panels_with_numbers_of_any_length_begin_at_one_line(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    panels = tab.locator("#opens-by-day svg[role='img'] text")
    opened, clicked = (panels.get_by_text(title, exact=True) for title in ("Opened", "Clicked"))
    (at, also) = (box["x"] for box in (opened.bounding_box(), clicked.bounding_box()) if box)
    assert at == pytest.approx(also, abs=1)


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    stops = "[...document.querySelectorAll('a, summary, [tabindex]')].filter(one => one.checkVisibility())"
    count = tab.evaluate(f"{stops}.length")
    assert count > 30
    reached = []
    for _ in range(count):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(f"{stops}.indexOf(document.activeElement)"))
    assert reached == list(range(count))
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details[open] table").first.is_visible()


def test_paper_has_the_figures_and_not_their_tables(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.locator("details:visible").count() == 0
    assert tab.locator("figure:visible").count() == len(FIGURES)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"


# Every card with its height on paper.
CARDS = """() => [...document.querySelectorAll('.card')].map(card => ({
    name: card.id, height: card.offsetHeight, breaks: getComputedStyle(card).breakInside,
    drawn: card.querySelector('svg[role=img]') !== null}))"""


@pytest.mark.parametrize("page", ["small", "crowded"])
def test_paper_tears_no_card_with_a_chart(tab: Tab, pages: dict[str, str], page: str) -> None:
    tab.set_viewport_size({"width": 703, "height": 1016})  # A4 without its margins, in pixels
    tab.emulate_media(media="print")
    tab.goto(pages[page])
    drawn = [card for card in tab.evaluate(CARDS) if card["drawn"]]
    assert len(drawn) > 10
    assert [card["name"] for card in drawn if card["breaks"] != "avoid" or card["height"] > 1016] == []


def test_no_column_of_a_card_is_half_empty(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["crowded"])
    left = tab.evaluate(
        "[...document.querySelectorAll('figure')].map(card => [card.id, card.getBoundingClientRect().x])"
    )
    assert len({x for _, x in left}) == 1  # one card beside another would leave a gap below the shorter one


def test_a_pointer_on_a_mark_shows_its_numbers(tab: Tab, pages: dict[str, str]) -> None:
    tab.goto(pages["small"])
    charts = tab.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].map(one => [one.closest('.card, .tile').id,"
        " [...one.querySelectorAll('title')].map(title => title.textContent)])"
    )
    assert [name for name, titles in charts if not titles] == []
    tips = dict(charts)
    assert "Phone, week of Dec 29: 45% of 100 opens" in tips["devices"]
    assert "1 subject" not in tips["ab-tests"]
