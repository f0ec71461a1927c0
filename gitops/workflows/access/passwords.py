"""Passwords: what counts as one, and whether it is this one. Argon2id, as RFC 9106 recommends.

In: what somebody typed. Out: a hash, or yes and no. Rules: a password has `SHORTEST` letters at least and `LONGEST`
bytes at most, nothing else is asked of it (NIST SP 800-63B); the same letters in another form of Unicode are the same;
to look at a name that nobody has takes as long as at one that somebody has.

    kept = hashed("a long sentence that nobody else says")
    matches(kept, "a long sentence that nobody else says")      # True
"""

import secrets
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gitops.errors import TowerosError

SHORTEST, LONGEST = 12, 1024
HASHER = PasswordHasher()


def hashed(password: str) -> str:
    """Raises TowerosError: it is too short, or too long."""
    if len(password) < SHORTEST or len(password.encode(errors="replace")) > LONGEST:
        raise TowerosError(f"a password has {SHORTEST} letters at least, and {LONGEST} bytes at most")
    return HASHER.hash(_plain(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password of this hash. None: nobody has the name, and the work is done all the same."""
    if len(password.encode(errors="replace")) > LONGEST:
        return False
    try:
        same = HASHER.verify(_nobodys() if kept is None else kept, _plain(password))
    except (VerificationError, InvalidHashError):
        return False
    return same and kept is not None


@cache
def _nobodys() -> str:
    return HASHER.hash(secrets.token_bytes(32))


def _plain(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode(errors="replace")
