"""Who comes in by a name and a password, who does not, and what others can make of it."""

import asyncio
import re
import threading
import time
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from gitops.server.people.guard import login, throttle
from gitops.store.notes.people import Session
from gitops.workflows.access import passwords, sessions
from gitops.workflows.access.accounts import Accounts
from tests.kit.logins import PASSWORD, REVISION, Browser, Towers, grants

WRONG = "another long sentence"
PAGES = ("/", "/sites", "/boxes/north-1", "/commits", "/activity", "/advisories", "/keys", "/account")
PROGRAMS = (
    "/api/v1/boxes",
    "/api/v1/boxes/north-1",
    "/api/v1/rollout",
    "/metrics",
    "/live",
    "/openapi.json",
    "/sbom/x",
)


@pytest.fixture
def towers(tmp_path: Path) -> Towers:
    towers = Towers(tmp_path)
    towers.account("ada", "admin")
    return towers


@pytest.fixture
def web(towers: Towers) -> Browser:
    return towers.browser()


def test_whoever_logs_in_sees_the_page_that_was_asked_for_and_is_named_on_it(web: Browser) -> None:
    asked = web.get("/boxes/north-1?refresh=30")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fboxes%2Fnorth-1%3Frefresh%3D30")

    page = web.get(asked.headers["location"])
    assert page.status_code == 200 and "no-store" in page.headers["cache-control"]
    answer = web.fill(asked.headers["location"], {"name": "ada", "password": PASSWORD}, asked.headers["location"])

    assert (answer.status_code, answer.headers["location"]) == (303, "/boxes/north-1?refresh=30")
    shown = web.get(answer.headers["location"])
    assert shown.status_code == 200 and ">ada</a><button>Log out" in shown.text
    assert "127.0.0.1" in web.get("/account").text and "everywhere" in web.get("/account").text


def test_without_a_login_nothing_of_the_fleet_is_told(web: Browser) -> None:
    told = {path: web.get(path) for path in (*PAGES, *PROGRAMS)}

    assert {path: answer.status_code for path, answer in told.items()} == {
        **dict.fromkeys(PAGES, 303), **dict.fromkeys(PROGRAMS, 401),
    }  # fmt: skip
    assert not [path for path, answer in told.items() if "north" in answer.text or REVISION in answer.text]
    assert [web.get(path).status_code for path in ("/healthz", "/static/toweros.css")] == [200, 200]


def test_without_any_account_whoever_comes_looks_and_does_nothing(tmp_path: Path) -> None:
    web = Towers(tmp_path).browser()
    assert {web.get(path).status_code for path in PAGES} <= {200}
    assert "Log out" not in web.get("/").text and "toweros people add" in web.get("/login").text
    assert web.post("/logout", data={"csrf": ""}).status_code == 403
    assert "Nobody has to log in" not in web.get("/").text, "only this machine sees it"
    far = Towers(tmp_path / "far", people_listen="0.0.0.0:8081").browser()
    assert "Nobody has to log in" in far.get("/").text


# --- sessions ---


def test_a_session_that_somebody_planted_is_not_the_one_that_begins(web: Browser) -> None:
    """Session fixation: the cookie of before, known to whoever planted it, is worth nothing afterwards."""
    web.login("ada")
    planted = web.cookies["toweros"]
    web.login("ada")
    assert web.cookies["toweros"] != planted
    web.cookies.clear()
    web.cookies.set("toweros", planted, domain="testserver.local")
    assert web.get("/").status_code == 303


def test_logging_out_ends_it_on_every_server_and_everywhere_ends_all(towers: Towers) -> None:
    here, there, third = towers.browser().login("ada"), towers.browser().login("ada"), towers.browser().login("ada")
    stolen = here.cookies["toweros"]
    assert here.fill("/logout", {}).headers["location"] == "/login"
    assert here.get("/").status_code == 303
    here.cookies.set("toweros", stolen, domain="testserver.local")
    assert here.get("/").status_code == 303, "it is over in the store, not in the browser alone"

    assert there.get("/").status_code == 200
    there.fill("/logout", {"everywhere": "yes"})
    assert (there.get("/").status_code, third.get("/").status_code) == (303, 303)


@pytest.mark.parametrize("change", ["passwd", "rm"])
def test_another_password_and_no_account_end_every_session(towers: Towers, change: str) -> None:
    towers.account("ben", "viewer")
    web, other = towers.browser().login("ada"), towers.browser().login("ben")
    accounts = Accounts(towers.store)
    accounts.remove("ada") if change == "rm" else accounts.passwd("ada", WRONG)
    assert (web.get("/").status_code, other.get("/").status_code) == (303, 200)


@pytest.mark.parametrize("change", ["passwd", "rm and add"])
def test_a_password_that_is_changed_while_it_is_looked_at_begins_no_session(
    towers: Towers, web: Browser, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knew the one of before may have been waiting for the answer."""
    accounts, verify = Accounts(towers.store), passwords.HASHER.verify

    class Meanwhile:
        def verify(self, kept: str, password: bytes) -> bool:
            monkeypatch.undo()
            if change == "passwd":
                accounts.passwd("ada", WRONG)
            else:
                accounts.remove("ada")
                accounts.add("ada", WRONG, grants("viewer"))
            return verify(kept, password)

    monkeypatch.setattr(passwords, "HASHER", Meanwhile())
    answer = web.fill("/login", {"name": "ada", "password": PASSWORD}, "/login")
    assert answer.status_code == 403 and "changed just now" in answer.text
    assert web.get("/").status_code == 303 and not towers.store.notes.keys(Session)


def test_a_session_ends_when_nobody_uses_it_and_after_a_day_s_work(
    towers: Towers, web: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.login("ada")
    now = time.time
    begun = now()
    for passed in range(0, sessions.LONGEST, sessions.IDLE // 2):
        monkeypatch.setattr(sessions, "clock", lambda passed=passed: begun + passed)
        assert web.get("/").status_code == 200, passed
    monkeypatch.setattr(sessions, "clock", lambda: begun + sessions.LONGEST + 1)
    assert web.get("/").status_code == 303, "however much it is used"
    monkeypatch.setattr(sessions, "clock", now)
    web.login("ada")
    monkeypatch.setattr(sessions, "clock", lambda: now() + sessions.IDLE + 1)
    assert web.get("/").status_code == 303
    monkeypatch.setattr(sessions, "clock", lambda: now() - 86_400)
    assert web.get("/").status_code == 303, "a clock that went back makes nothing young again"


def test_the_store_has_no_cookie_and_no_password_and_so_has_no_log(towers: Towers, web: Browser) -> None:
    with capture_logs() as said:
        page = "/login"
        web.fill(page, {"name": "my secret word by mistake", "password": WRONG}, page)
        web.login("ada")
    told = [(line["subject"], line["outcome"][:7]) for line in said if line["event"] == "act"]
    assert told == [("", "refused"), ("ada", "done")]
    kept = (towers.settings.state / "toweros.db").read_bytes() + repr(said).encode()
    for secret in (web.cookies["toweros"], PASSWORD, WRONG, "my secret word by mistake"):
        assert secret.encode() not in kept
    assert len(towers.store.notes.each(Session)) == 1


def test_cookies_cannot_be_read_by_scripts_nor_set_by_others(towers: Towers) -> None:
    web = Browser(towers.app(), base_url="https://towers.example", client=("192.0.2.7", 1), follow_redirects=False)
    page = "/login"
    answer = web.fill(page, {"name": "ada", "password": PASSWORD}, page)
    cookies = answer.headers.get_list("set-cookie")
    assert [each.split("=")[0] for each in cookies] == [
        "__Host-toweros",
        "__Host-toweros-login",
        "__Host-toweros-known",
    ]
    for each in cookies:
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(each.split("; ")) and "Domain" not in each
    assert web.get("/").status_code == 200


# --- forms ---


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({}, "f" * 64),
        ({"origin": "https://elsewhere.example"}, None),
        ({"origin": "null"}, None),
        ({"origin": "http://["}, None),
        ({"sec-fetch-site": "cross-site"}, None),
        ({"content-type": "text/plain"}, None),
        ({"content-type": "application/json"}, None),
    ],
)
def test_a_form_of_another_page_does_nothing(web: Browser, headers: dict[str, str], token: str | None) -> None:
    """CSRF: the cookie goes along, and nothing else does."""
    web.login("ada")
    said = web.token() if token is None else token
    answer = web.post("/logout", data={"csrf": said}, headers=headers)
    assert answer.status_code in (403, 415)
    assert web.get("/").status_code == 200, "still logged in"
    assert web.post("/logout", data={"csrf": web.token()}, headers={"origin": "http://testserver"}).status_code == 303


def test_a_login_form_of_another_browser_logs_nobody_in(towers: Towers, web: Browser) -> None:
    """Login CSRF: whoever is made to send it would work under another's name."""
    foreign = towers.browser().token("/login")
    web.get("/login")
    answer = web.post("/login", data={"csrf": foreign, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 403 and "toweros" not in web.cookies


def test_forms_have_an_end(web: Browser) -> None:
    token = web.login("ada").token()
    for data, status in (
        (f"csrf={token}&" + "x=y&" * 60, 400),
        (f"csrf={token}&csrf={token}", 400),
        (f"csrf={token}&x=%ff", 400),
        ("x=" + "y" * 70_000, 413),
    ):
        answer = web.post("/logout", content=data, headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status_code == status, data[:40]


@pytest.mark.parametrize(
    "to",
    ["//elsewhere.example/", "https://elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example", "/%0d",
     "/\t/x", "javascript:alert(1)", "/login?next=/login", "elsewhere", "", "/" + "x" * 2000, "/ä"],
)  # fmt: skip
def test_after_the_login_nobody_is_sent_elsewhere(web: Browser, to: str) -> None:
    """Open redirect by `next=`."""
    answer = web.login("ada").get("/login", params={"next": to})
    page = "/login"
    answer = web.post(page, params={"next": to}, data={"csrf": web.token(page), "name": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/%0d" if to == "/%0d" else "/")


# --- who tries ---


def test_whoever_tries_many_passwords_is_slowed_down_and_nobody_else_is(
    towers: Towers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brute force: five words at once for a name, ten for all; then one now and then. Its owner comes in all the same,
    from elsewhere, and from the same address in a browser that was used before."""
    monkeypatch.setattr(throttle, "clock", lambda: 0.0)
    app, page = towers.app(), "/login"
    before = towers.browser(app).login("ada")
    before.fill("/logout", {})
    eve = towers.browser(app)
    tries = [eve.fill(page, {"name": "ada", "password": WRONG}, page).status_code for _ in range(7)]
    assert tries == [403] * 5 + [429] * 2
    assert eve.fill(page, {"name": "ada", "password": PASSWORD}, page).status_code == 429, "also the right one"
    assert [eve.fill(page, {"name": f"x{n}", "password": WRONG}, page).status_code for n in range(7)] == [
        *[403] * 5, 429, 429,
    ]  # fmt: skip

    towers.browser(app, ("127.0.0.9", 1)).login("ada")
    before.login("ada")
    monkeypatch.setattr(throttle, "clock", lambda: 60.0)
    eve.login("ada")


def test_strangers_from_everywhere_keep_nobody_out_who_came_before(
    towers: Towers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may wait do, from an address each; one password is looked at after the other."""
    app, goes_on = towers.app(), threading.Event()
    verify = passwords.HASHER.verify

    class Slow:
        def verify(self, kept: str, password: bytes) -> bool:
            assert goes_on.wait(20)
            return verify(kept, password)

    async def tries(address: str, password: str, cookies: httpx.Cookies) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", cookies=cookies) as web:
            found = re.search('name="csrf" value="([^"]*)"', (await web.get("/login")).text)
            said = {"name": "ada", "password": password, "csrf": found[1] if found else ""}
            return (await web.post("/login", data=said)).status_code

    async def all_at_once() -> tuple[list[int], int]:
        crowd = [asyncio.create_task(tries(f"127.0.1.{n}", WRONG, httpx.Cookies())) for n in range(login.MOST + 4)]
        while sum(each.done() for each in crowd) < 4:  # those for whom there is no place
            await asyncio.sleep(0.01)
        owner = asyncio.create_task(tries("127.0.2.1", PASSWORD, before))
        await asyncio.sleep(0.2)
        goes_on.set()
        return await asyncio.gather(*crowd), await owner

    browser = towers.browser(app).login("ada")
    before = httpx.Cookies({"toweros-known": browser.cookies["toweros-known"]})
    monkeypatch.setattr(passwords, "HASHER", Slow())
    strangers, owner = asyncio.run(all_at_once())
    assert owner == 303 and sorted(strangers) == [*[403] * login.MOST, *[503] * 4]


def test_a_name_that_nobody_has_is_told_as_a_wrong_password_and_costs_the_same(
    towers: Towers, web: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    Accounts(towers.store).passwd("ada", PASSWORD)  # a hash as the product makes it
    worked = list[str]()
    verify = passwords.HASHER.verify

    class Counted:
        def verify(self, kept: str, password: bytes) -> bool:
            worked.append(kept.split("$")[3])
            return verify(kept, password)

        hash = staticmethod(passwords.HASHER.hash)

    monkeypatch.setattr(passwords, "HASHER", Counted())
    page, said = "/login", []
    for name in ("ada", "nobody", "", "../ada", "A" * 5000):
        answer = web.fill(page, {"name": name, "password": WRONG}, page)
        said.append((answer.status_code, "There is no such name with this password." in answer.text))
    assert said == [(403, True)] * 5
    assert len(worked) == 5 and len(set(worked)) == 1, "the same work each time"


def test_over_plain_http_from_elsewhere_neither_passwords_nor_tokens_count(towers: Towers) -> None:
    """Whoever is on the way would have read them."""
    far = towers.browser(client=("192.0.2.7", 1))
    assert "not encrypted" in far.get("/login").text and "<form" not in far.get("/login").text
    answer = far.post("/login", data={"csrf": "", "name": "ada", "password": PASSWORD})
    assert answer.status_code == 403 and "not encrypted" in answer.text
    assert far.get("/api/v1/boxes", headers=towers.token("script", "viewer")).status_code == 403
    far.cookies.set("toweros", towers.browser().login("ada").cookies["toweros"], domain="testserver.local")
    assert far.get("/").status_code == 403


def test_what_was_made_for_somebody_is_kept_by_no_proxy(towers: Towers, web: Browser) -> None:
    web.login("ada")
    for path in ("/", "/api/v1/boxes", "/api/v1/boxes/north-1", "/api/v1/progress", "/metrics", "/account"):
        assert web.get(path).headers["cache-control"] == "no-store", path
    assert web.get("/static/toweros.css").headers["cache-control"] == "no-cache"
