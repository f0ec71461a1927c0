"""Tokens of programs: made once, shown once, kept as a hash, with an end.

In: a name, grants, days. Out: the token, `toweros_ID_SECRET`; later, whom it stands for. Rules: ID finds it, SECRET is
compared in constant time; one that has ended, or was removed, is nobody. When it was last used is written down once in
`SEEN` seconds at most, so that a read is not a write each time.

    token = tokens.add("prometheus", (Grant(Role.viewer),), days=365)
    tokens.person(token)            # Person("prometheus", ..., "token")
"""

import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from gitops.errors import StoreError, TowerosError
from gitops.model import sha256
from gitops.model.access.person import Grant, Person
from gitops.store import Store
from gitops.store.notes.people import ApiToken
from gitops.workflows.access import kept

FORM = re.compile(r"toweros_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
RULE = "small letters, digits, . _ -; at most 63"
MOST, LONGEST = 1000, 3660
"""Tokens; days that one may last."""
DAY = 86_400
SEEN = 3600
"""Seconds for which nobody writes down again that a token is used."""
log = structlog.get_logger(__name__)


class Tokens:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._notes = store.notes

    def add(self, name: str, grants: tuple[Grant, ...], days: int) -> str:
        """The token itself, which is nowhere else. Raises TowerosError."""
        if not NAME.fullmatch(name):
            raise TowerosError(f"{name[:100]!r} is no name of a token", hint=RULE)
        known = self.all()
        if any(each.name == name for each in known.values()):
            raise TowerosError(f"there is a token {name}", hint=f"another name, or toweros tokens rm {name} first")
        if len(known) >= MOST:
            raise TowerosError(f"there are {MOST} tokens", hint="toweros tokens list; rm those that nobody needs")
        key, secret, now = secrets.token_hex(8), secrets.token_urlsafe(32), int(time.time())
        self._notes.put(ApiToken(name, sha256(secret.encode()), grants, now, now + days * DAY), key)
        return f"toweros_{key}_{secret}"

    def remove(self, name: str) -> None:
        """Raises TowerosError: there is none of this name."""
        keys = [key for key, each in self.all().items() if each.name == name]
        if not keys:
            raise TowerosError(f"there is no token {name[:100]}", hint="toweros tokens list")
        self._notes.forget(ApiToken, keys)

    def all(self) -> Mapping[str, ApiToken]:
        return kept.every(self._notes, ApiToken)

    def person(self, token: str) -> Person | None:
        """Whom it stands for; None: it is none, or has ended."""
        said = FORM.fullmatch(token)
        found = kept.one(self._notes, ApiToken, said[1]) if said else None
        if said is None or found is None:
            return None
        now, same = int(time.time()), hmac.compare_digest(sha256(said[2].encode()), found.digest)
        if not same or now >= found.until or not self._still(found, said[1], now):
            return None
        return Person(found.name, found.grants, "token")

    def _still(self, token: ApiToken, key: str, now: int) -> bool:
        """Write down that it is used; False: it was removed meanwhile. A clock that went back writes, too."""
        if 0 <= now - token.used < SEEN:
            return True
        try:
            return self._notes.renew(replace(token, used=now), key)
        except StoreError as error:  # what it may, it may all the same
            log.warning("token.use_not_written", name=token.name, error=error.message)
            return True
