"""The documents on people: accounts, sessions, tokens of programs. Of passwords and tokens only a hash is here."""

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.model.access.person import Grant


@dataclass(frozen=True)
class Account:
    """A local account. `password`: what argon2 made of it; `made`, `changed`: Unix seconds, of the account and of its
    password. Its key is the name."""

    password: str
    grants: tuple[Grant, ...] = ()
    made: int = 0
    changed: int = 0


@dataclass(frozen=True)
class Session:
    """Somebody who logged in: `how` (`account`, `oidc`), when, when last seen (Unix seconds), from where. `grants`:
    what a provider said then; those of an account are looked up. Its key is the SHA-256 of the cookie."""

    who: str
    how: str
    begun: int
    seen: int
    address: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class ApiToken:
    """A program's token. `digest`: SHA-256 of its secret half; `until`: Unix seconds; `used`: the same, an hour late at
    most, 0: never. Its key is the half that is no secret."""

    name: str
    digest: str
    grants: tuple[Grant, ...] = ()
    made: int = 0
    until: int = 0
    used: int = 0


PEOPLE: Mapping[type[object], str] = {Account: "people/", Session: "session/", ApiToken: "token/"}
"""Their names (`documents.NAMES`)."""
