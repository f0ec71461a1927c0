"""Passwords: the same one is the same, and a damaged hash opens nothing."""

import sqlite3
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.store import Store
from gitops.store.notes.people import Account, ApiToken, Session
from gitops.workflows.access import accounts
from gitops.workflows.access.accounts import Accounts
from gitops.workflows.access.passwords import hashed, matches
from gitops.workflows.access.sessions import MOST, Sessions
from tests.kit.logins import Towers, grants


def test_a_password_is_the_same_in_every_form_of_unicode_and_is_kept_as_a_hash() -> None:
    kept = hashed("mu\u0308nster um Mitternacht")
    assert kept.startswith("$argon2id$v=19$") and "nster" not in kept
    assert matches(kept, "m\u00fcnster um Mitternacht")
    assert not matches(kept, "munster um Mitternacht") and not matches(kept, "")


def test_a_hash_that_is_damaged_and_one_that_nobody_has_open_nothing() -> None:
    for kept in ("", "x", "$argon2id$v=19$m=8,t=1,p=1$", None):
        assert not matches(kept, "of nobody")
        assert not matches(kept, "x" * 100_000)
    assert not matches(hashed("half \ud800 of a letter"), "x")


@pytest.mark.parametrize("how", ["passwd", "change"])
def test_who_loses_a_role_while_a_password_changes_has_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A hash takes a while: with what was read before, the role came back."""
    people = Accounts(Store.open(tmp_path))
    people.add("ada", "a long sentence", grants("admin"))

    def slowly(password: str) -> str:
        people.grant("ada", grants("viewer"))
        return hashed(password)

    monkeypatch.setattr(accounts, "hashed", slowly)
    if how == "passwd":
        people.passwd("ada", "another long sentence")
    else:
        people.change("ada", people.hash_of("ada"), "another long sentence")
    assert people.check("ada", "another long sentence")
    assert people.known("ada").grants == grants("viewer")


def test_an_account_that_is_removed_while_its_password_changes_stays_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = Accounts(Store.open(tmp_path))
    people.add("ada", "a long sentence", grants("admin"))

    def slowly(password: str) -> str:
        people.remove("ada")
        return hashed(password)

    monkeypatch.setattr(accounts, "hashed", slowly)
    with pytest.raises(TowerosError, match="there is no account ada"):
        people.passwd("ada", "another long sentence")
    assert people.none()


def test_a_session_that_is_ended_in_the_moment_of_its_use_stays_ended(tmp_path: Path) -> None:
    """Who writes down that it was seen brings nothing back."""
    store = Store.open(tmp_path)
    store.notes.put(Session("ada", "account", 1, 1), "ab" * 32)
    store.notes.forget(Session, ["ab" * 32])
    assert not store.notes.renew(Session("ada", "account", 1, 2), "ab" * 32)
    assert store.notes.get(Session, "ab" * 32) is None


def test_a_person_has_so_many_sessions_and_what_is_over_goes(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.notes.put(Account("", grants("viewer")), "ada")
    person = Accounts(store).person("ada")
    assert person
    store.notes.put(Session("ben", "account", 1, 1), "ab" * 32)
    sessions = Sessions(store)
    words = [sessions.begin(person, "192.0.2.7") for _ in range(MOST + 5)]
    assert len(store.notes.each(Session)) == MOST and sessions.get(words[-1])
    assert sessions.get("x" * 43) is None and sessions.get("") is None


def test_a_document_that_is_damaged_opens_nothing_and_keeps_nobody_else_out(tmp_path: Path) -> None:
    towers = Towers(tmp_path)
    towers.account("ada", "viewer")
    headers = towers.token("script", "viewer")
    for kind, key in ((Account, "ben"), (Session, "ab" * 32), (ApiToken, "0" * 16)):
        towers.store.notes.put(kind(*["x"] * (4 if kind is Session else 2)), key)  # type: ignore[operator]
    with sqlite3.connect(tmp_path / "toweros.db") as database:
        database.execute("UPDATE values_ SET document = '{' WHERE name IN ('people/ben', ?, ?)",
                         (f"session/{'ab' * 32}", f"token/{'0' * 16}"))  # fmt: skip
    web = towers.browser().login("ada")
    assert (web.get("/").status_code, web.get("/account").status_code) == (200, 200)
    assert towers.browser().get("/api/v1/boxes", headers=headers).status_code == 200
    assert set(Accounts(towers.store).all()) == {"ada"}
    towers.store.notes.forget(Account, ["ada"])
    assert towers.browser().get("/").status_code == 303, "a damaged account closes the pages as well as a sound one"
