"""Which of two versions is older, by the rules of the ecosystem that they are from. Pure.

Debian's order is that of deb-version(7): epoch, upstream version, revision; `~` sorts before the end. PyPI's is that of
the version specifiers' specification (PEP 440).

    is_older(Ecosystem.debian, "3.5.7-1~deb13u1", "3.5.7-1")    # True
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from debian.debian_support import NativeVersion
from packaging.version import Version

from gitops.model import Ecosystem

DEBIAN = re.compile(r"(\d{1,9}:)?[A-Za-z0-9][A-Za-z0-9.+~:-]{0,200}")
"""Looser than deb-version(7): a name of ours, such as `6.1-1+us1`, has an order too. Longer ones are nobody's."""
READERS: dict[Ecosystem, Callable[[str], Any]] = {Ecosystem.debian: NativeVersion, Ecosystem.pypi: Version}


def is_older(ecosystem: Ecosystem, version: str, other: str) -> bool:
    """Raises ValueError: one of them is no version, or nobody has said how this ecosystem orders them."""
    return bool(_read(ecosystem, version) < _read(ecosystem, other))


@lru_cache(maxsize=4096)
def _read(ecosystem: Ecosystem, version: str) -> Any:
    if ecosystem not in READERS:
        raise ValueError(f"versions of {ecosystem} have no order here")
    if len(version) > 200 or (ecosystem is Ecosystem.debian and not DEBIAN.fullmatch(version)):
        raise ValueError(f"no version of {ecosystem}: {version[:50]!r}")
    return READERS[ecosystem](version)
