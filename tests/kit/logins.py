"""Two sites with their boxes, people who may see one of them or all, and a browser without a screen.

towers = Towers(folder)
towers.account("ada", viewer @ north)
ada = towers.browser().login("ada")
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gitops.model import EventType, Health, Hold, HoldReason, Phase, Report
from gitops.model.access.person import Grant, Role
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.documents import Status
from gitops.store.notes.people import Account
from gitops.workflows.access.tokens import Tokens

PASSWORD = "a long sentence of one's own"
PLACES = {"north-1": "north", "north-2": "north", "south-1": "south", "south-2": "south", "lonely": ""}
REVISION = f"main@sha1:{'5c1e' * 10}"
HERE = "192.0.2.7"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
NEAR = ("127.0.0.1", 50_000)


def grants(*said: str) -> tuple[Grant, ...]:
    """`viewer`, `operator@north`."""
    return tuple(Grant(Role(role), site or "*") for role, _, site in (each.partition("@") for each in said))


class Browser(TestClient):
    """Follows nothing, keeps cookies, sends forms with the token that their page has."""

    def login(self, name: str, password: str = PASSWORD, to: str = "/") -> "Browser":
        page = f"/login?next={quote(to, safe='')}"
        answer = self.fill(page, {"name": name, "password": password}, page)
        assert answer.status_code == 303, answer.text
        return self

    def fill(self, path: str, fields: dict[str, str], page: str = "/account", **more: Any) -> Any:
        """A form of `page`, which leads where that one does."""
        return self.post(path, data={"csrf": self.token(page), **fields}, **more)

    def token(self, page: str = "/account") -> str:
        found = re.search('name="csrf" value="([^"]*)"', self.get(page).text)
        return found[1] if found else ""


class Towers:
    """A store with boxes at two sites, in the middle of something; `settings` for its server."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.store = Store.open(folder)
        self.settings = Settings(state=folder, **settings)
        for name in PLACES:
            self.store.boxes.enroll(name, "ab" * 32)
            report = Report(name, "boot", 1, 1, "1", 1, "b" * 64, "b" * 64, Phase.IDLE, Health.DEGRADED)
            self.store.boxes.save_report(report)
            self.store.events.add(name, EventType.WARNING, "Degraded", f"{name} says so")
        self.store.notes.put(Roster({name: Place(f"role-{site}", site, {}) for name, site in PLACES.items()}))
        held = "waits for south-1 and north-2, at south"
        self.store.holds.save({"north-1": Hold(HoldReason.SUSPENDED, held)})
        self.store.events.add("", EventType.WARNING, "Unsigned", "a commit for south-2")
        self.store.notes.put(Status(REVISION, ("ada",), error="boxes/south-2.yaml: wrong", polled=9))

    def account(self, name: str, *said: str) -> None:
        """As `Accounts` makes them, but for the cost of a password: a test has many logins."""
        self.store.notes.put(Account(CHEAP, grants(*said), 1, 1), name)

    def token(self, name: str, *said: str, days: int = 1) -> dict[str, str]:
        """Headers of a program that has one."""
        return {"authorization": f"Bearer {Tokens(self.store).add(name, grants(*said), days)}"}

    def app(self) -> FastAPI:
        return create_app(self.store, self.settings)

    def browser(self, app: FastAPI | None = None, client: tuple[str, int] = NEAR) -> Browser:
        return Browser(app or self.app(), client=client, follow_redirects=False)
