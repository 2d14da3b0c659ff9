"""An administrator's console over several weeks of work, in a real browser: overview, cluster, comparison, decisions.

The weeks are made by the real parts (tests/weeks.py); only the web server runs, since these pages need no worker.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from tests.e2e.conftest import Service, WebServer

pytestmark = pytest.mark.e2e

# Text against what is painted behind it, WCAG 2.2, 1.4.3: 4.5 to 1, large text 3 to 1.
_PALE = """() => {
    const parse = (text) => (text.match(/^rgba?\\((.*)\\)$/)?.[1] ?? "").split(/[ ,/]+/).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length >= 3 && (colour[3] ?? 1) === 1) return colour;
        }
        return [255, 255, 255];
    };
    const pale = [];
    for (const one of document.querySelectorAll("main *")) {
        const text = [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
        if (!text || !one.checkVisibility({ opacityProperty: true }) || one.closest("svg, .sr, dialog")) continue;
        const style = getComputedStyle(one);
        const [a, b] = [light(parse(style.color)), light(behind(one))].sort((x, y) => y - x);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < (large ? 3 : 4.5)) pale.push(`${one.className} "${text.slice(0, 20)}" ${contrast.toFixed(2)}`);
    }
    return pale;
}"""
_UNNAMED = """() => [...document.querySelectorAll("main a[href], main button, main input, main select, main textarea")]
    .filter((one) => one.checkVisibility() && one.type !== "hidden")
    .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.[0]?.textContent.trim()))
    .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The web server alone, on a data directory with three weeks of work."""
    data_dir = tmp_path_factory.mktemp("console")
    web = WebServer(
        data_dir, TM_HELD_OUT=str(data_dir / "held-out"), TM_RESULTS="48",
        TM_TUNING_MIN_SEARCHES="6", TM_TUNING_MIN_EXAMINERS="2",
    )  # fmt: skip
    web.prepare("-m", "tests.weeks", "--marks", "110", "--weeks", "3")
    logins = json.loads((data_dir / "demo-logins.json").read_text())
    web.start()
    yield Service(web.base, {role: (one["name"], one["password"]) for role, one in logins.items()}, data_dir)
    web.kill()


def settled(page: Any) -> None:
    """Every picture is there, loaded and not broken; every control has a name; every word stands out."""
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    assert page.evaluate("[...document.images].filter((i) => !i.naturalWidth).map((i) => i.src)") == []
    assert page.evaluate(_UNNAMED) == []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(_PALE) == [], scheme


def test_from_the_overview_to_a_cluster_a_comparison_and_back(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    page = login("administrator")
    page.get_by_role("link", name="Tuning").click()
    page.get_by_role("heading", name="Evidence since the last decision").wait_for()
    assert page.get_by_text(re.compile(r"not enough yet: \d+ of 6 searches, \d of 2 examiners")).count() >= 1
    assert "pairs of judgements were alike" in page.inner_text("main")
    assert page.locator(".timeline .event.back").count() == 1
    settled(page)
    snap(page, "console-overview")

    page.locator(".evidence-card a").first.click()
    page.get_by_role("heading", name="The cut among what examiners judged").wait_for()
    # The first with a search for parameters behind it shows every chart.
    page.goto("/tuning/")
    page.locator(".weights a", has_text="Cluster").first.click()
    page.locator("svg.histogram").wait_for()
    for chart in ("svg.change", "svg.tree", "svg.rounds", "svg.deltas"):
        assert page.locator(chart).count() == 1, chart
    assert page.locator(".exemplars img").count() >= 3
    settled(page)
    snap(page, "console-cluster")

    page.get_by_role("link", name="Compare both on a search of this cluster").click()
    page.locator(".compare-card").first.wait_for()
    assert page.locator(".compare-side").count() == 2
    first = page.url
    page.locator(".pick-strip input:checked").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".compare-card").first.wait_for()
    assert page.url != first and "search=" in page.url
    assert "similarities it kept" in page.inner_text("main")
    settled(page)
    snap(page, "console-compare")
    page.goto("/tuning/register/")
    settled(page)
    snap(page, "console-register")


def test_the_timeline_is_walked_with_the_keyboard(login: Callable[[str], Any]) -> None:
    page = login("administrator")
    page.goto("/tuning/")
    assert page.locator(".timeline .point[tabindex='0']").count() == 1  # one stop, however many points
    page.locator(".timeline .point[tabindex='0']").focus()
    page.keyboard.press("ArrowLeft")
    tip = page.locator(".chart-tip")
    tip.wait_for()
    before = tip.inner_text()
    assert re.match(r"run \d+, .*: .*%", before)
    seen = [before]
    for key in ("ArrowUp", "ArrowUp", "ArrowUp"):  # over the lines of this run to what went live there
        page.keyboard.press(key)
        seen.append(tip.inner_text())
    assert re.search(r"went live|rolled back", seen[-1])
    page.keyboard.press("ArrowDown")
    assert re.match(r"run \d+, ", tip.inner_text())
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/tuning/runs/\d+/"))


def test_a_proposal_is_approved_and_rolled_back_with_reasons(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    page = login("administrator")
    page.goto("/tuning/")
    page.get_by_role("link", name="Approve or reject").click()
    page.wait_for_url(re.compile(r"/tuning/runs/\d+/#decide"))
    approve = page.get_by_role("button", name="Approve P")
    number = approve.inner_text().removeprefix("Approve ")
    settled(page)
    snap(page, "console-proposal")
    approve.click()  # without a reason the browser itself refuses
    assert page.locator("textarea:invalid").count() == 1
    page.get_by_label("Reason, kept with the history").fill("Checked on ten searches.")
    approve.click()
    page.get_by_text(f"{number} is live: every new search uses it.").wait_for()
    assert page.get_by_role("button", name="Approve").count() == 0

    page.get_by_role("link", name="Tuning").first.click()
    assert page.locator("#live-title").inner_text() == f"Live: {number}"
    opener = page.locator("table.went [data-roll-back]").first
    target = opener.get_attribute("data-roll-back")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog#roll-back[open]")
    dialog.wait_for()
    assert f"Roll back to {target}?" in dialog.inner_text()
    snap(page, "console-roll-back", full=False)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.rollBack") == target
    page.keyboard.press("Space")
    dialog.wait_for()
    dialog.get_by_label("Reason, kept with the history").fill("Outlined logos are missed.")
    dialog.get_by_role("button", name="Roll back to").click()
    page.get_by_text(f"{target} is live again.").wait_for()
    assert page.locator("#live-title").inner_text() == f"Live: {target}"
    assert "Outlined logos are missed." in page.locator("table.went tbody tr").first.inner_text()


# What of a card is painted: its edge, and whether the tick can be seen on its ring.
_PAINTED = """(card) => {
    const [face, tick] = [".card-face", ".tick"].map((one) => getComputedStyle(card.querySelector(one)));
    return {
        edge: parseFloat(face.borderTopWidth), colour: face.borderTopColor, line: face.borderTopStyle,
        ticked: tick.color !== tick.backgroundColor && !/^rgba.*, 0\\)$/.test(tick.color),
        ring: tick.backgroundColor,
    };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_forced_by_the_system_leave_selected_and_not_selected_apart(
    login: Callable[[str], Any], snap: Callable[..., None], scheme: str
) -> None:
    page = login("administrator")
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    page.goto("/searches/?of=everyone")
    rows = page.locator(".history-row", has_text=re.compile(r"[1-9]\d* (selected|in the report)"))
    rows.first.locator("a").nth(1).click()
    page.locator("li.card").first.wait_for()
    chosen, other = page.locator("li.card.selected").first, page.locator("li.card:not(.selected)").first
    on, off = chosen.evaluate(_PAINTED), other.evaluate(_PAINTED)
    assert (on["ticked"], off["ticked"]) == (True, False)
    assert on["edge"] >= off["edge"] + 2 and on["colour"] != off["colour"] and on["ring"] != off["ring"]
    # The tick as pixels: one shade on the empty ring, at least two on the filled one.
    assert _shades(chosen.locator(".tick").screenshot()) > _shades(other.locator(".tick").screenshot())
    # What shows the keyboard's place is neither of the two edges.
    other.locator(".card-face").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    focused = other.locator(".card-face").evaluate("one => getComputedStyle(one).outlineStyle")
    assert focused == "dashed" and other.evaluate(_PAINTED)["edge"] == off["edge"]
    bar = page.locator(".track > i").first
    assert bar.evaluate("one => getComputedStyle(one).backgroundColor") != bar.locator("..").evaluate(
        "one => getComputedStyle(one).backgroundColor"
    )
    white = page.locator("li.card .tile").first.evaluate("one => getComputedStyle(one).backgroundColor")
    assert white == "rgb(255, 255, 255)", "marks are drawn for white paper"
    snap(page, f"contrast-{scheme}-results")
    page.keyboard.press("Enter")
    page.locator("dialog#detail[open]").wait_for()
    snap(page, f"contrast-{scheme}-comparison", full=False)
    for address, name in (("/tuning/", "overview"), ("/tuning/simulation/", "simulation"), ("/", "search")):
        page.goto(address)
        snap(page, f"contrast-{scheme}-{name}")
    page.goto("/tuning/")
    page.locator(".weights a", has_text="Cluster").first.click()
    page.locator("svg.histogram").wait_for()
    fills = page.locator("svg.histogram .bar").evaluate_all(
        "bars => Object.fromEntries(bars.map(one => [one.classList[1], getComputedStyle(one).fill]))"
    )
    assert len(set(fills.values())) == len(fills) >= 3, fills
    snap(page, f"contrast-{scheme}-cluster")


def _shades(picture: bytes) -> int:
    """Clearly different shades in the middle of a picture."""
    image = Image.open(io.BytesIO(picture)).convert("L")
    width, height = image.size
    middle = image.crop((width // 4, height // 4, width - width // 4, height - height // 4))
    return len({shade // 64 for _, shade in middle.getcolors(256) or []})


def test_an_examiner_sees_none_of_it(login: Callable[[str], Any]) -> None:
    page = login("examiner")
    for address in ("", "clusters/0/", "register/", "compare/"):
        assert page.goto(f"/tuning/{address}").status == 403


def _pattern(address: str) -> str:
    """Pages that differ in numbers alone are one page."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", address)


def _walk(page: Any, start: str, limit: int) -> list[str]:
    """Every page that links lead to, one of each kind; returns their addresses."""
    waiting, known, walked = [start], {_pattern(start)}, []
    while waiting and len(walked) < limit:
        address = waiting.pop(0)
        answer = page.goto(address, wait_until="load")
        walked.append(address)
        assert answer and answer.status < 400, f"{address}: {answer and answer.status}"
        links = page.eval_on_selector_all(
            "a[href]", "all => all.filter(a => a.origin === location.origin).map(a => a.pathname)"
        )
        for link in links:
            if _pattern(link) not in known and "/api/" not in link and not link.endswith("/delete/"):
                known.add(_pattern(link))
                waiting.append(link)
    assert not waiting, f"more than {limit} pages: {waiting}"
    return walked


@pytest.mark.parametrize(("role", "least"), [("examiner", 4), ("administrator", 40)])
def test_no_page_breaks_the_policy_of_its_own_headers(login: Callable[[str], Any], role: str, least: int) -> None:
    """All pages there are links to, Django's admin among them; `login` adds what the console says of it."""
    page = login(role)
    broken: list[str] = []
    page.expose_function("tellOfBreach", lambda what: broken.append(what))  # noqa: PLW0108  it sets attributes on it
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => window.tellOfBreach("
        "`${location.pathname}: ${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber} ${e.sample}`))"
    )
    walked = _walk(page, "/", 120)
    assert len(walked) >= least, walked
    if role == "administrator":
        assert {"/account/", "/tuning/", "/status/"} <= set(walked) and any("/admin/auth/user/" in a for a in walked)
        page.goto("/admin/django_celery_beat/periodictask/add/")
        page.select_option("#id_task", "tuning.tasks.scheduled")
        page.goto("/admin/auth/user/add/")
        page.fill("#id_username", "made-in-the-browser")
        page.fill("#id_password1", "green-battery-9")
        page.fill("#id_password2", "green-battery-9")
        page.select_option("#id_role", "examiner")
        page.click("input[name=_save]")
        page.locator(".messagelist .success").wait_for()
    page.wait_for_timeout(100)
    assert not broken


def test_after_logging_out_the_way_back_shows_nothing(login: Callable[[str], Any]) -> None:
    page = login("administrator")
    page.goto("/tuning/")
    picture = page.locator("img[src*=thumbnail]").first.get_attribute("src")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in").wait_for()
    page.go_back()
    page.wait_for_load_state()
    assert "/login/" in page.url and "Clusters" not in page.content()
    answer = page.goto(picture)
    assert answer and answer.status == 401 and not answer.from_service_worker


def test_logged_out_everywhere_is_said_here_and_holds_there(
    login: Callable[[str], Any], snap: Callable[..., None]
) -> None:
    here, there = login("examiner"), login("examiner")
    here.get_by_title("Your account").click()
    here.get_by_role("heading", name="Your account").wait_for()
    settled(here)
    snap(here, "account")
    here.get_by_role("button", name="Log out everywhere").click()
    assert "You are logged out everywhere" in here.get_by_role("status").inner_text()
    there.goto("/searches/")
    assert "/login/" in there.url
