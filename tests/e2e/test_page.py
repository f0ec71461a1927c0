"""The pages in a real browser: phone, tablet and desk, light and dark, with scripts and without, by keyboard."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitops.model import EventType, Hold, HoldReason
from gitops.model.access.person import Grant, Role
from gitops.model.rollout.course import Course, Sample
from gitops.rollout import holds
from gitops.server import create_app, listening, serve
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.directory import Place, Roster, Traffic
from gitops.store.notes.documents import Status
from gitops.workflows.access.accounts import Accounts
from tests.kit.authority import Authority
from tests.kit.crowds import COMMIT, REVISION, Crowd, fill
from tests.kit.logins import PASSWORD, Towers

pytestmark = pytest.mark.e2e
LONG = 120_000
"""Milliseconds, of a browser that starts beside two machines."""
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
WIDTHS = (360, 768, 1440)
PATHS = {
    "fleet": "/", "filtered": "/?group=site&sort=-seen&health=Degraded&label=ring%3D1", "sites": "/sites",
    "box": "/boxes/box-00000", "commits": "/commits", "commit": f"/commits/{COMMIT}", "activity": "/activity",
    "advisories": "/advisories", "keys": "/keys", "login": "/login", "account": "/account", "wrong": "/?nonsense=1",
}  # fmt: skip
SAID = "a" * 2000 + " <b>bold</b> \u202eright to left\u202c 🗼 " + "words and words " * 180
WHOLE = """() => {
  const wrong = [], all = (what) => [...document.querySelectorAll(what)];
  const said = (each, name) => each.getAttribute(name);
  const words = (each) => each?.textContent.trim();
  for (const each of all("a[href], button, input:not([type=hidden]), select, summary"))
    if (!(said(each, "aria-label") || words(each) || words(each.closest("label")))) wrong.push(each.outerHTML);
  for (const each of all("nav, form, section"))
    if (!said(each, "aria-label") && !said(each, "aria-labelledby")) wrong.push(each.tagName);
  for (const each of all("[aria-labelledby]"))
    if (!document.getElementById(said(each, "aria-labelledby"))) wrong.push(each.outerHTML);
  for (const each of all("thead th")) if (!said(each, "scope")) wrong.push(each.outerHTML);
  for (const each of all("svg")) if (said(each, "role") != "img" || !each.querySelector("title")) wrong.push("svg");
  for (const what of ["main", "header", "nav", "h1", "footer", "html[lang]", "title"])
    if (!all(what).length) wrong.push("no " + what);
  if (all("h1").length != 1 || all("main").length != 1) wrong.push("several");
  const ids = all("[id]").map((each) => each.id);
  ids.filter((each, at) => ids.indexOf(each) != at).forEach((each) => wrong.push("twice: " + each));
  return wrong;
}"""
"""What is wrong with a page for who listens to it: names, landmarks, heads of tables, ids."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A fleet with the longest names, and boxes that say too much."""
    store, now = Store.open(tmp_path_factory.mktemp("pages")), int(time.time())
    crowd = Crowd(300, said=SAID, bad=1)
    fill(store, crowd, now)
    places = {crowd.name(number): crowd.place(number) for number in range(crowd.boxes)}
    long = {name: replace(place, site=f"{place.site}-{'x' * 190}") for name, place in list(places.items())[::3]}
    store.notes.put(Roster({**places, **long, "box-00000": Place("r" * 63, "s" * 200, {"l" * 63: "v" * 63})}))
    store.holds.save({"box-00001": Hold(HoldReason.SUSPENDED, "ada: " + "h" * 400)})
    store.notes.put(Status(REVISION, ("ada",), error="x" * 300, hint="y" * 300, polled=now))
    store.notes.put(Course(REVISION, 300, now - 600, 0, (Sample(now - 500, 10, 5, 2, 1),)), COMMIT)
    store.notes.put(Traffic({"2026-11-29": 123_456_789_012}))
    store.events.add("box-00000", EventType.WARNING, "Degraded", SAID)
    store.events.add("box-00000", EventType.NORMAL, "Healthy", "release 1")
    return store


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LONG)
        yield browser
        browser.close()


def opened(browser: Any, width: int, **how: Any) -> Any:
    page = browser.new_context(viewport={"width": width, "height": 800}, **how).new_page()
    page.set_default_timeout(LONG)
    return page


@needs_chromium
def test_pages_fit_every_screen(browser: Any, url: str) -> None:
    page, wide, wrong = opened(browser, WIDTHS[0]), {}, {}
    page.route("**/toweros.js", lambda route: route.abort())
    for name, path in PATHS.items():
        page.goto(url + path)
        if found := page.evaluate(WHOLE):
            wrong[name] = found
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if (scroll := page.evaluate("document.documentElement.scrollWidth")) > width:
                wide[name, width] = scroll
    assert (wide, wrong) == ({}, {})


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_of_the_first_page_for_whoever_looks(browser: Any, url: str, scheme: str, tmp_path: Path) -> None:
    page = opened(browser, WIDTHS[0], color_scheme=scheme, reduced_motion="reduce")
    page.goto(url)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=tmp_path / f"{width}-{scheme}.png")
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (red + green + blue > 3 * 128) == (scheme == "light")


@needs_chromium
def test_the_first_page_works_without_scripts(browser: Any, url: str) -> None:
    page = opened(browser, 360, java_script_enabled=False)
    page.goto(url)
    row = page.locator("#box-box-00000")
    assert "Degraded" in row.inner_text() and "bold</b>" not in row.locator("b").all_inner_texts()
    page.get_by_text("Filters and order").click()
    page.get_by_label("Search").fill("box-0007")
    page.get_by_label("Sort by").select_option("-box")
    page.get_by_role("button", name="Show").click()
    assert "q=box-0007" in page.url and page.locator("tbody tr th").first.inner_text() == "box-00079"
    page.get_by_role("link", name="Reload every 30 s").click()
    assert "refresh=30" in page.url and page.get_by_role("link", name="Stop reloading").count() == 1


@needs_chromium
def test_an_open_page_changes_by_itself_until_it_is_paused(browser: Any, url: str, store: Store) -> None:
    page, complaints = opened(browser, 1440), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    page.locator(".live", has_text="live").wait_for()
    page.locator("#box-box-00002 a").first.focus()
    page.wait_for_timeout(1000)
    store.events.add("box-00001", EventType.NORMAL, "Healthy", "a new thing")
    page.get_by_text("a new thing").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "box-00002", "who reads by keyboard stays there"
    page.get_by_role("button", name="Pause live updates").click()
    assert page.get_by_role("status").inner_text() == "paused"
    assert complaints == [], "nothing that the policy forbids"


@needs_chromium
def test_an_operator_holds_a_box_without_scripts_and_the_audit_log_has_it(browser: Any, url: str, store: Store) -> None:
    """By keyboard, on a phone; the form and the log fit it, and say to whoever listens what they are."""
    Accounts(store).add("ada", "a sentence that is long", (Grant(Role.admin),))
    try:
        page = opened(browser, 360, java_script_enabled=False)
        looks = opened(browser, 360)
        for each in (page, looks):
            each.goto(f"{url}/login?next=/boxes/box-00002")
            each.get_by_label("Name").fill("ada")
            each.get_by_label("Password").fill("a sentence that is long")
            each.keyboard.press("Enter")
            each.wait_for_url(f"{url}/boxes/box-00002")
        page.get_by_role("link", name="Hold").click()
        assert page.evaluate("document.activeElement.name") == "reason"
        page.keyboard.type("the mast is open")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/boxes/box-00002?done=box-hold")
        assert page.get_by_role("status").inner_text() == "It is held from the next pass on."
        assert "Held by ada: the mast is open (since" in page.locator("main").inner_text()
        page.get_by_role("link", name="Audit").click()
        row = page.locator("tbody tr").filter(has_text="box.hold")  # the login's may come later: nobody waits for it
        assert row.count() == 1 and "the mast is open" in row.inner_text()
        for path in ("/audit", "/boxes/box-00002/release", "/rollout/abort", "/fleet/hold", "/boxes/box-00002"):
            looks.goto(url + path)
            assert looks.evaluate(WHOLE) == [], path
            assert looks.evaluate("document.documentElement.scrollWidth") <= 360, path
    finally:
        Accounts(store).remove("ada")
        holds.let_go(store, "box-00002", "ada")


@needs_chromium
def test_by_keyboard_the_content_is_one_step_away(browser: Any, url: str) -> None:
    page = opened(browser, 360)
    page.goto(url)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the content" and (skip.bounding_box() or {})["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@needs_chromium
def test_somebody_logs_in_looks_around_and_logs_out(browser: Any, tmp_path: Path) -> None:
    """By TLS and keyboard, on a phone: a wrong word, the right one, the page that was asked for, live; out again."""
    towers, pem = Towers(tmp_path / "state"), tmp_path / "server.pem"
    towers.account("ada", "viewer@north")
    Authority().server("127.0.0.1", pem)
    settings = Settings(
        state=tmp_path / "state", listen="127.0.0.1:0", people_listen="127.0.0.2:0",
        people_tls_cert=pem, people_tls_key=pem,
    )  # fmt: skip
    with listening(towers.store, settings) as urls:
        page = opened(browser, WIDTHS[0], ignore_https_errors=True)
        page.goto(f"{urls.people}/boxes/north-1")
        assert page.url.endswith("/login?next=%2Fboxes%2Fnorth-1") and fits(page)
        for password in ("another sentence", PASSWORD):
            page.fill("input[name=name]", "ada")
            page.fill("input[name=password]", password)
            page.keyboard.press("Enter")
            if password != PASSWORD:
                page.locator("[role=alert]").wait_for()
        page.wait_for_url(f"{urls.people}/boxes/north-1")
        assert page.locator("h1").inner_text().startswith("north-1") and fits(page)
        page.wait_for_function("document.querySelector('.live').textContent.includes('live')")
        cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
        assert cookies["__Host-toweros"]["httpOnly"] and cookies["__Host-toweros"]["secure"]
        assert "toweros" not in page.evaluate("document.cookie")

        page.click("text=ada")
        assert page.locator("table").first.inner_text().split()[-2:] == ["viewer", "north"] and fits(page)
        page.click("text='Log out'")
        page.wait_for_url(f"{urls.people}/login")
        page.goto(f"{urls.people}/sites")
        assert "/login" in page.url and "north" not in page.inner_text("main")


def fits(page: Any) -> bool:
    """Whether the page is whole for who listens to it, and no wider than its screen."""
    return page.evaluate(WHOLE) == [] and page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[0]
