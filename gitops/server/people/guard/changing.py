"""/account/password: another password for a local account, by its owner.

In: a form of the session with the present password, and the new one twice. Out: 303 to /account, or that page with why
not. Rules: the present one is tried as at the login, with its bounds; every session of the account ends, and this
browser gets a new one; where somebody else changed the password meanwhile, theirs stays. No password is in an act.

    app.include_router(router(pages))
"""

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from gitops.errors import StoreError, TowerosError
from gitops.server.people.guard import acts, forms
from gitops.server.people.guard.known import known, person
from gitops.server.people.guard.login import WRONG, Pages, marked

PATH = "/account/password"
ACT = "people.passwd"
"""As the command line's is called."""
NOT_THAT = "That is not the password of now."
NOT_TWICE = "The new password was not the same twice."
NOT_OURS = "only a local account has a password here, and only in a browser that is logged in"


class Changing:
    """Of one server."""

    def __init__(self, pages: Pages) -> None:
        self._pages, self._desk = pages, pages.desk

    async def change(self, request: Request) -> Response:
        """POST /account/password."""
        fields, who = await forms.form(request), person(request)
        if who.how != "account":
            raise HTTPException(403, NOT_OURS)
        if fields.get("new", "") != fields.get("again", ""):
            return await to_thread.run_sync(self._pages.known_of, request, 400, NOT_TWICE)
        # Before it is tried: a password that somebody changes meanwhile is another one.
        present = await to_thread.run_sync(self._desk.accounts.hash_of, who.name)
        status, why = await self._desk.tried(request, who.name, fields.get("present", ""))
        return await to_thread.run_sync(self._changed, request, present, fields.get("new", ""), (status, why))

    def _changed(self, request: Request, present: str, new: str, tried: tuple[int, str]) -> Response:
        who, (status, why), kept = person(request), tried, ""
        why = NOT_THAT if why == WRONG else why
        if status == 200:
            try:
                kept = self._desk.accounts.change(who.name, present, new)
            except StoreError:
                raise
            except TowerosError as error:
                status, why = 400, f"{error.message}."
        if status != 200:
            acts.tell(request, ACT, who.name, outcome=f"refused: {why}")
            return self._pages.known_of(request, status, why)
        acts.tell(request, ACT, who.name, "on the page")
        response = RedirectResponse("/account?changed=yes", 303)
        self._desk.begin(request, response, who, marked(who.name, kept))
        return response


def router(pages: Pages) -> APIRouter:
    """The route."""
    routes = APIRouter(dependencies=[Depends(known)], include_in_schema=False)
    routes.post(PATH)(Changing(pages).change)
    return routes
