"""Somebody gives an own account another password on the page: what it needs, what it ends, who is kept out."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gitops.server.people.guard import throttle
from gitops.store.notes.people import Account
from gitops.workflows.access import passwords
from gitops.workflows.access.accounts import Accounts
from tests.kit.logins import PASSWORD, Browser, Towers

NEW = "quite another long sentence"
PATH = "/account/password"


@pytest.fixture
def towers(tmp_path: Path) -> Towers:
    towers = Towers(tmp_path)
    towers.account("ada", "admin")
    towers.account("ben", "viewer@north")
    return towers


@pytest.fixture
def web(towers: Towers) -> Browser:
    return towers.browser().login("ben")


def said(present: str = PASSWORD, new: str = NEW, again: str = "") -> dict[str, str]:
    return {"present": present, "new": new, "again": again or new}


def test_another_password_ends_every_other_session_and_this_browser_goes_on_with_a_new_one(
    towers: Towers, web: Browser
) -> None:
    other, ada, before = towers.browser().login("ben"), towers.browser().login("ada"), web.cookies["toweros"]
    with capture_logs() as log:
        answer = web.fill(PATH, said())
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?changed=yes")
    assert "logged out everywhere else" in web.get("/account?changed=yes").text
    assert (other.get("/").status_code, ada.get("/").status_code, web.get("/").status_code) == (303, 200, 200)
    assert web.cookies["toweros"] != before, "who has the cookie of before has nothing"

    accounts = Accounts(towers.store)
    assert accounts.check("ben", NEW) and not accounts.check("ben", PASSWORD) and accounts.check("ada", PASSWORD)
    assert accounts.known("ben").grants and accounts.known("ben").made == 1
    [act] = [line for line in log if line["event"] == "act"]
    assert (act["who"], act["what"], act["subject"], act["outcome"]) == ("ben", "people.passwd", "ben", "done")
    assert NEW not in repr(log) and PASSWORD not in repr(log)


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        (said(present="something that ben never said"), 403, "That is not the password of now."),
        (said(present=""), 403, "That is not the password of now."),
        (said(new="short"), 400, "12 letters at least"),
        (said(new="x" * 2000), 400, "1024 bytes at most"),
        (said(again="quite another long sentance"), 400, "not the same twice"),
        ({}, 403, "That is not the password of now."),
    ],
)
def test_what_cannot_be_it_is_told_and_changes_nothing(
    towers: Towers, web: Browser, fields: dict[str, str], status: int, why: str
) -> None:
    answer = web.fill(PATH, fields)
    assert answer.status_code == status and why in answer.text and PASSWORD not in answer.text
    assert Accounts(towers.store).check("ben", PASSWORD) and web.get("/").status_code == 200


def test_who_found_an_open_browser_may_guess_as_little_as_at_the_login(
    towers: Towers, web: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "clock", lambda: 0.0)
    tries = [web.fill(PATH, said(present=f"a wrong sentence {n}")).status_code for n in range(7)]
    assert tries == [403] * 5 + [429] * 2
    assert web.fill(PATH, said()).status_code == 429, "also the right one"
    monkeypatch.setattr(throttle, "clock", lambda: 60.0)
    assert web.fill(PATH, said()).status_code == 303


@pytest.mark.parametrize("headers", [{}, {"origin": "https://elsewhere.example"}])
def test_a_form_of_another_page_changes_no_password(towers: Towers, web: Browser, headers: dict[str, str]) -> None:
    token = web.token() if headers else ""
    assert web.post(PATH, data={"csrf": token, **said()}, headers=headers).status_code == 403
    assert Accounts(towers.store).check("ben", PASSWORD)


def test_a_token_and_whoever_did_not_log_in_have_no_password_here(towers: Towers, web: Browser, tmp_path: Path) -> None:
    token = towers.token("ben", "admin")  # called as the account is, and sent beside its cookie
    assert web.post(PATH, data={"csrf": web.token(), **said()}, headers=token).status_code == 403
    assert "Another password" not in web.get("/account", headers=token).text
    assert towers.browser().post(PATH, data={"csrf": "", **said()}).status_code == 401
    open_ = Towers(tmp_path / "open").browser()
    assert open_.post(PATH, data={"csrf": "", **said()}).status_code == 403
    assert Accounts(towers.store).check("ben", PASSWORD)


@pytest.mark.parametrize("change", ["passwd", "rm"])
def test_what_an_administrator_changes_meanwhile_stays(
    towers: Towers, web: Browser, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knew the password of before is locked out, however close it was."""
    accounts, verify = Accounts(towers.store), passwords.HASHER.verify

    class Meanwhile:
        hash = staticmethod(passwords.HASHER.hash)

        def verify(self, kept: str, password: bytes) -> bool:
            monkeypatch.undo()
            accounts.remove("ben") if change == "rm" else accounts.passwd("ben", "what the administrator says")
            return verify(kept, password)

    monkeypatch.setattr(passwords, "HASHER", Meanwhile())
    answer = web.fill(PATH, said())
    assert answer.status_code == 400 and "changed just now" in answer.text
    assert web.get("/").status_code == 303 and not accounts.check("ben", NEW)
    assert set(towers.store.notes.keys(Account)) == ({"ada"} if change == "rm" else {"ada", "ben"})
