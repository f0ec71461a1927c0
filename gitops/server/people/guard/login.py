"""/login, /logout and /account: who comes, who goes, and what is known of who is here; another password for it.

In: a name and a password in a form of ours. Out: a session, and the way back to where somebody wanted to go. Rules:

- Whoever logs in gets a new session, and the one of before ends: nobody else can have known its cookie.
- A wrong name is as slow as a wrong password, and told the same; passwords are checked one at a time, each address
  waits for its own (waiting/turns.py), and a browser in which somebody logged in before waits behind nobody else's.
- Another password needs the present one, tried like a login; every other session of the account ends.
- Only names that exist are told to whoever keeps acts: what people type there by mistake is their password.
"""

import hmac
import math
import secrets
from collections import Counter
from hashlib import sha256
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from gitops.model.access.person import Person
from gitops.server.bounds import holder
from gitops.server.people.guard import acts, cookies, forms, known
from gitops.server.people.guard.throttle import Throttle
from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.guard.way import way
from gitops.server.people.rendered import Rendered
from gitops.server.people.waiting.turns import Turns
from gitops.store import Store
from gitops.workflows.access.accounts import NAME, Accounts
from gitops.workflows.access.passwords import LONGEST, SHORTEST
from gitops.workflows.access.sessions import Sessions

EACH, MOST = 8, 64
"""Logins of one address, and of all, that wait at a time."""
BEFORE = "known "
"""How those are called who wait in such a browser: strangers, however many, do not take their places."""
KNOWN, YEAR = "toweros-known", 365 * 86_400
"""The cookie of a browser in which somebody logged in: it opens nothing."""
MANY = "Many log in at this moment: try again soon."
WRONG = "There is no such name with this password."


class Desk:
    """Where people log in, of one server."""

    def __init__(self, store: Store) -> None:
        self.accounts, self.sessions = Accounts(store), Sessions(store)
        self._throttle, self._turns, self._waiting = Throttle(), Turns(), Counter[str]()

    async def check(self, who: str, name: str, password: str) -> tuple[int, str]:
        """Status and why not; 200: it is right."""
        full = self._waiting.total() >= MOST and not who.startswith(BEFORE)
        if self._waiting[who] >= EACH or full:
            return 503, MANY
        if seconds := self._throttle.wait(who, name):
            return 429, f"Too many tries: the next one counts in {math.ceil(seconds)} s."
        right = list[bool]()
        self._waiting[who] += 1
        try:
            await self._turns.do(lambda: right.append(self.accounts.check(name, password)), who or "?")
        finally:
            self._waiting[who] -= 1
            self._waiting += Counter()  # those that are zero go
        if right == [True]:
            self._throttle.right(who, name)
            return 200, ""
        return 403, WRONG

    def came_before(self, name: str, cookie: str) -> bool:
        """Whether this name has logged in in this browser, with the password of now."""
        said, _, proof = cookie.rpartition(".")
        known_as = self.mark(name) if said == name and NAME.fullmatch(name) else ""
        return bool(known_as) and hmac.compare_digest(proof.encode(), known_as.rpartition(".")[2].encode())

    def mark(self, name: str) -> str:
        """What such a browser keeps; empty: there is no such account."""
        kept = self.accounts.hash_of(name)
        return marked(name, kept) if kept else ""

    def enter(self, request: Request, person: Person, to: str, mark: str = "") -> Response:
        """A new session, in place of whatever was there. `mark`: of the account, before its password was looked at."""
        if before := cookies.get(request, cookies.SESSION):
            self.sessions.end(before)
        response = RedirectResponse(way(to), 303)
        self.begin(request, response, person, mark)
        acts.tell(request, "login", person.name, who=person)
        return response

    def begin(self, request: Request, response: Response, person: Person, mark: str) -> None:
        """The session, and what the browser keeps of it."""
        word = self.sessions.begin(person, address(request))
        # Whoever gave it another password, or took it away, has ended all sessions that there were by then.
        if mark and self.mark(person.name) != mark:
            self.sessions.end(word)
            raise HTTPException(403, "this password was changed just now")
        cookies.put(request, response, cookies.SESSION, word)
        cookies.drop(request, response, cookies.LOGIN)
        if person.how == "account":
            cookies.put(request, response, KNOWN, self.mark(person.name), YEAR)

    async def tried(self, request: Request, name: str, password: str) -> tuple[int, str]:
        """As `check`, for the browser that asks."""
        before = await to_thread.run_sync(self.came_before, name, cookies.get(request, KNOWN))
        return await self.check(f"{BEFORE}{name}" if before else holder(address(request)), name, password)


class Pages:
    """What the routes answer. `provider`: how the other way to log in is called; empty: there is none."""

    def __init__(self, store: Store, rendered: Rendered, provider: str) -> None:
        self.desk, self._rendered, self._provider = Desk(store), rendered, provider

    async def ask(self, request: Request) -> Response:
        """GET /login."""
        return await to_thread.run_sync(self.page, request)

    async def answer(self, request: Request) -> Response:
        """POST /login."""
        if not known.private(request):
            raise HTTPException(403, known.PLAIN)
        fields = await forms.form(request, cookies.LOGIN)
        name, password = fields.get("name", "").strip()[:100], fields.get("password", "")
        mark = await to_thread.run_sync(self.desk.mark, name)
        status, why = await self.desk.tried(request, name, password)
        return await to_thread.run_sync(self._answered, request, name, status, why, mark)

    def _answered(self, request: Request, name: str, status: int, why: str, mark: str) -> Response:
        person = self.desk.accounts.person(name)
        if status == 200 and person:
            return self.desk.enter(request, person, request.query_params.get("next", "/"), mark)
        acts.tell(request, "login", name if person else "", outcome=f"refused: {why or WRONG}")
        return self.page(request, 403 if status == 200 else status, why or WRONG, name)

    def page(self, request: Request, status: int = 200, why: str = "", name: str = "") -> Response:
        """The form, or why there is none."""
        gate: known.Gate = request.app.state.gate
        word = cookies.get(request, cookies.LOGIN) or secrets.token_urlsafe(32)
        values: dict[str, Any] = {
            "why": why, "name": name, "next": way(request.query_params.get("next", "/")), "provider": self._provider,
            "private": known.private(request), "plain": known.PLAIN, "locals": bool(self.desk.accounts.all()),
            "open": gate.open(), "who": Viewer(Person("", ()), forms.token_of(word)),
        }  # fmt: skip
        response = HTMLResponse(self._rendered.page("login.html", **values), status, self._rendered.headers)
        cookies.put(request, response, cookies.LOGIN, word)
        return response

    async def leave(self, request: Request) -> Response:
        """POST /logout."""
        fields = await forms.form(request)
        return await to_thread.run_sync(self._left, request, bool(fields.get("everywhere")))

    def _left(self, request: Request, everywhere: bool) -> Response:
        sessions, word = self.desk.sessions, cookies.get(request, cookies.SESSION)
        if session := sessions.get(word):
            who = Person(session.who, (), session.how)
            acts.tell(request, "logout", session.who, "everywhere" if everywhere else "", who=who)
            if everywhere:
                sessions.end_all(session.who, session.how)
        sessions.end(word)
        response = RedirectResponse("/login", 303)
        cookies.drop(request, response, cookies.SESSION)
        return response

    async def account(self, request: Request) -> Response:
        """GET /account."""
        return await to_thread.run_sync(self.known_of, request)

    def known_of(self, request: Request, status: int = 200, why: str = "") -> Response:
        """What is known of who is here. `why`: the password was not changed."""
        person, who = known.person(request), known.viewer(request)
        text = self._rendered.page(
            "account.html", who=who, person=person, sessions=self.desk.sessions.of(person), document="account",
            why=why, changed="changed" in request.query_params, shortest=SHORTEST, longest=LONGEST,
        )  # fmt: skip
        return HTMLResponse(text, status, self._rendered.headers)


def marked(name: str, kept: str) -> str:
    """By the hash of a password."""
    return f"{name}.{hmac.new(kept.encode(), name.encode(), sha256).hexdigest()}"


def address(request: Request) -> str:
    return request.client.host if request.client else ""


def router(pages: Pages) -> APIRouter:
    """The routes of `Pages`."""
    routes = APIRouter(include_in_schema=False)
    routes.get("/login")(pages.ask)
    routes.post("/login")(pages.answer)
    routes.post("/logout")(pages.leave)
    routes.get("/account", dependencies=[Depends(known.known)])(pages.account)
    return routes
