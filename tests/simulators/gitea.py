"""Gitea and Forgejo on loopback: GitHub's shapes, without a list by branch, and with permissions that only an
administrator of the repository may ask for.

    with forge(Gitea) as hub: ...
"""

from typing import Any

from tests.simulators.forge import Forge

PREFIX = "/api/v1"


class Gitea(Forge):
    """`administers`: whether the token's account may ask for the permissions of others."""

    def __init__(self) -> None:
        super().__init__()
        self.page = 50
        self.permissions = {"ada": "owner", "ben": "write", "eve": "read"}
        self.administers = True

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, login: str) -> tuple[int, Any]:
        if not path.startswith(PREFIX):
            return 404, None
        if path.endswith("/permission") and not self.administers:
            return 403, None
        # Neither `head` nor `base` is a word of its list.
        known = {name: value for name, value in query.items() if name in ("state", "page", "limit", "sort")}
        return super().answer(method, path.removeprefix(PREFIX), known, body, login)

    def _opened(self, body: Any, login: str) -> tuple[int, Any]:
        code, made = super()._opened(body, login)
        return (409, None) if code == 422 else (code, made)
