"""`toweros people` and `toweros tokens`: what they take, print and refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gitops.cli.main import application
from gitops.errors import TowerosError
from gitops.model.access.person import Grant, Role
from gitops.store import Store
from gitops.store.notes.people import Session
from gitops.workflows.access.accounts import Accounts
from gitops.workflows.access.sessions import Sessions
from gitops.workflows.access.tokens import Tokens

PASSWORD = "a long sentence of one's own"
APP = application()


def said(folder: Path, *words: str, password: str = "") -> Result:
    return CliRunner().invoke(APP, [*words, "--state", str(folder)], input=f"{password}\n" if password else None)


def add(folder: Path, name: str, *words: str, password: str = PASSWORD) -> Result:
    return said(folder, "people", "add", name, *words, "--password-file", "-", password=password)


def test_an_account_is_made_listed_changed_and_taken_away(tmp_path: Path) -> None:
    assert add(tmp_path, "ada", "--role", "operator@north", "--role", "viewer").exit_code == 0
    assert add(tmp_path, "ben", "--role", "viewer", "--site", "north", "--site", "mast 7").exit_code == 0
    accounts = Accounts(Store.open(tmp_path))
    assert accounts.all()["ada"].grants == (Grant(Role.operator, "north"), Grant(Role.viewer))
    assert accounts.check("ada", PASSWORD) and not accounts.check("ben", PASSWORD + "x")

    listed = said(tmp_path, "people", "list", "-o", "json").stdout
    assert {each["site"] for each in json.loads(listed)["people"]["ben"]["grants"]} == {"north", "mast 7"}
    assert "argon2" not in listed and PASSWORD not in listed

    person = accounts.person("ada")
    assert person and Sessions(Store.open(tmp_path)).begin(person, "")
    assert said(tmp_path, "people", "passwd", "ada", "--password-file", "-", password="another sentence").exit_code == 0
    assert accounts.check("ada", "another sentence") and not Store.open(tmp_path).notes.each(Session)
    assert said(tmp_path, "people", "grant", "ada", "--role", "admin").exit_code == 0
    assert accounts.all()["ada"].grants == (Grant(Role.admin),) and accounts.check("ada", "another sentence")
    assert Sessions(Store.open(tmp_path)).begin(person, "")
    assert "1 session of ada ended" in said(tmp_path, "people", "logout", "ada").output
    assert said(tmp_path, "people", "rm", "ada").exit_code == 0
    assert set(accounts.all()) == {"ben"}


def test_the_last_account_goes_when_somebody_says_that_the_pages_shall_be_open(tmp_path: Path) -> None:
    add(tmp_path, "ada", "--role", "admin")
    with pytest.raises(TowerosError, match="whoever reaches `people_listen` sees all pages"):
        raised(said(tmp_path, "people", "rm", "ada"))
    assert said(tmp_path, "people", "rm", "ada", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("words", "password", "why"),
    [
        (("ada", "--role", "chief"), PASSWORD, "there is no role 'chief'"),
        (("ada",), PASSWORD, "what may that be"),
        (("ada", "--role", "viewer@"), PASSWORD, "no name of a site"),
        (("Ada B", "--role", "viewer"), PASSWORD, "no name of a person"),
        (("ada", "--role", "viewer"), "short", "12 letters at least"),
        (("ada", "--role", "viewer"), "x" * 2000, "1024 bytes at most"),
        (("there", "--role", "viewer"), PASSWORD, "there is an account there"),
    ],
)
def test_what_cannot_be_an_account_is_told_and_not_made(
    tmp_path: Path, words: tuple[str, ...], password: str, why: str
) -> None:
    add(tmp_path, "there", "--role", "viewer")
    with pytest.raises(TowerosError, match=why):
        raised(add(tmp_path, *words, password=password))
    assert set(Accounts(Store.open(tmp_path)).all()) == {"there"}


def test_a_token_is_printed_once(tmp_path: Path) -> None:
    made = said(tmp_path, "tokens", "add", "prometheus", "--role", "viewer", "--days", "30")
    token = made.stdout.strip()
    person = Tokens(Store.open(tmp_path)).person(token)
    assert person and (person.name, person.how, person.grants) == ("prometheus", "token", (Grant(Role.viewer),))
    listed = said(tmp_path, "tokens", "list", "-o", "json").stdout
    assert json.loads(listed)["tokens"][0]["name"] == "prometheus" and token.rpartition("_")[2] not in listed
    assert json.loads(listed)["tokens"][0]["used"] >= json.loads(listed)["tokens"][0]["made"]
    assert said(tmp_path, "tokens", "rm", "prometheus").exit_code == 0
    assert Tokens(Store.open(tmp_path)).person(token) is None


def raised(result: Result) -> None:
    """What main() would say."""
    assert result.exception
    raise result.exception
