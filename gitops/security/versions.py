"""Which of two versions is older, by the rules of the ecosystem that they are from.

Debian's order is that of deb-version(7): epoch, upstream version, revision; `~` sorts before the end.

    is_older(Ecosystem.debian, "3.5.7-1~deb13u1", "3.5.7-1")    # True
"""

from debian.debian_support import Version

from gitops.model import Ecosystem


def is_older(ecosystem: Ecosystem, version: str, other: str) -> bool:
    """Raises ValueError: one of them is no version, or nobody has said how this ecosystem orders them."""
    if ecosystem is not Ecosystem.debian:
        raise ValueError(f"versions of {ecosystem} have no order here")
    return Version(version) < Version(other)
