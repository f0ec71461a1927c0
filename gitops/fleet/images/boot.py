"""Images of boot specs that no package makes: named by digest, or by a tag that `images.lock` pins. Pure.

In: what a spec says, what the lock says. Out: `NAME@sha256:HEX` or `NAME:TAG@sha256:HEX`, or what is wrong, with the
fix. Rules: as for apps and Dockerfiles; where the image is to be had, a name does not decide (ADR 57).

    pinned("web.example/ntp:4.2", {"web.example/ntp:4.2": "sha256:9f86..."})   # web.example/ntp:4.2@sha256:9f86...
    mistake("web.example/ntp:4.2")[0]                                          # it is named by a tag, and ...
"""

import re
from collections.abc import Mapping

from gitops.fleet.images.lockfile import DIGEST, FILE, HINT, NAME, TAG
from gitops.fleet.images.tracked import tracked_of

BY_DIGEST = re.compile(rf"{NAME}(?::{TAG})?@{DIGEST}")
_BY_TAG = re.compile(f"{NAME}:{TAG}")
_BY_OTHER_DIGEST = re.compile(r".*@(?!sha256:)([a-z0-9+._-]{1,32}):.*")
_FIX = "write NAME@sha256:DIGEST, NAME:TAG with a line in images.lock, or @pkg: and a path"


def pinned(name: str, pins: Mapping[str, str]) -> str:
    """An image with its digest; empty: nobody says which one it is."""
    if BY_DIGEST.fullmatch(name):
        return name
    one = tracked_of({"image": name})
    digest = one.digest(pins) if one else ""
    return f"{name}@{digest}" if digest else ""


def mistake(name: str) -> tuple[str, str]:
    """What is wrong with one that is not pinned, and the fix."""
    if _BY_TAG.fullmatch(name):
        hint = f"a tag may move: {HINT}, or write NAME@sha256:DIGEST"
        return f"`{name}` is named by a tag, and {FILE} does not say what it means", hint
    if other := _BY_OTHER_DIGEST.fullmatch(name):
        return f"`{name}` has a digest of the kind {other[1]}", "write its SHA-256 digest: NAME@sha256:DIGEST"
    if "@sha256:" in name and not re.fullmatch(DIGEST, name.partition("@")[2]):
        return f"`{name}` has no whole digest", "64 digits follow `sha256:`, of 0-9 and a-f"
    if re.fullmatch(NAME, name):
        return f"`{name}` has neither tag nor digest", f"add a tag and {HINT}, or write NAME@sha256:DIGEST"
    return f"`{name}` is no name of an image", _FIX
