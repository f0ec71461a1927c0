"""What a provider claims of somebody, held against what was asked; and what that person may do then. Pure.

In: the claims of an ID token whose signature holds, what they must be; the settings. Out: a person, or why not. Rules
(OpenID Connect Core 1.0, 3.1.3.7): issuer, audience and nonce are ours, it has not ended and comes from no other time;
nothing that is missing, or of another kind, counts as right. Who is in no group of the settings may nothing.

    check(claims, Expected("https://id.example", "toweros", nonce), now)
    of(oidc, claims)        # Person("ada", (Grant(Role.operator, "north"),), "oidc")
"""

import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from gitops.errors import TowerosError
from gitops.model.access.person import Grant, Person, Role
from gitops.settings.people import Oidc

LEEWAY = 60
"""Seconds that two clocks may differ."""
LONGEST = 100
"""Characters of a name."""


class OidcError(TowerosError):
    """The provider did not say who somebody is, or not to us."""


class Expected(NamedTuple):
    """What an ID token must say."""

    issuer: str
    client: str
    nonce: str


def check(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """Raises OidcError: one of them is not what it must be."""
    said = claims.get("aud")
    audience = said if isinstance(said, list) else [said]
    party = claims.get("azp", expected.client if audience == [expected.client] else None)
    wrong = {
        "it is of another issuer": claims.get("iss") != expected.issuer,
        "it is for another client": expected.client not in audience or party != expected.client,
        "it belongs to another login": not _same(claims.get("nonce"), expected.nonce),
        "it has ended": not _number(claims.get("exp")) or claims["exp"] + LEEWAY <= now,
        "it comes from another time": not _number(claims.get("iat")) or claims["iat"] - LEEWAY > now,
        "it does not count yet": not _number(claims.get("nbf", 0)) or claims.get("nbf", 0) - LEEWAY > now,
        "it names nobody": not isinstance(claims.get("sub"), str) or not claims["sub"],
    }
    for why, so in wrong.items():
        if so:
            raise OidcError(f"the provider's token is not taken: {why}")


def of(oidc: Oidc, claims: Mapping[str, Any]) -> Person:
    """Raises OidcError: nothing is granted to this person, or the mail address is nobody's yet."""
    if oidc.name == "email" and claims.get("email_verified") is False:
        raise OidcError("the provider has not verified this mail address")
    said = claims.get(oidc.name)
    name = _line(said if isinstance(said, str) and said else str(claims["sub"]))
    groups = claims.get(oidc.groups)
    inside = {groups} if isinstance(groups, str) else {each for each in _list(groups) if isinstance(each, str)}
    grants = dict.fromkeys(Grant(Role(each.role), each.site) for each in oidc.grants if each.group in inside)
    if not name or not grants:
        raise OidcError(f"{name or 'somebody'} is known to the provider, and may nothing here", hint=_hint(oidc))
    return Person(name, tuple(grants), "oidc")


def _hint(oidc: Oidc) -> str:
    return f"whoever runs the fleet adds a group of the claim `{oidc.groups}` to oidc.grants (docs/people.md)"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _same(said: object, nonce: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode(errors="replace"), nonce.encode())


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53


def _line(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable()).strip()[:LONGEST]
