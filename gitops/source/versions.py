"""The versions in the names of release tags. Pure.

In: names of tags. Out: what they sort by, and what to say of those that lose without being judged. Rules: semver.org
2.0.0, and nothing that only looks like it: MAJOR.MINOR.PATCH begins at the first digit after the name's last slash
(`v1.2.0`, `gsm900/v1.2.0`, `site-1.2.0`), and the rest is one whole version. Build metadata (`+...`) orders nothing: of
two names of one version one deploys, and which one is the same on every controller.

    version("v1.3.0-fix_20240506")     # None: `_` is in no version, and 20240506 is none either
"""

import re
from collections.abc import Iterable

from gitops.errors import STAYS, Reason, SourceError

_NUMBER = "(0|[1-9][0-9]{0,8})"
_WORD = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
"""Of a pre-release: a number without zeros before it, or a word with at least one letter or hyphen (semver.org, 9)."""
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
LONGEST = 255
"""Characters of a name: what a ref in a file can have."""
SHOWN = 3
"""Names in one alarm."""

Version = tuple[int, int, int, tuple[object, ...]]


def version(name: str) -> Version | None:
    """What a tag's name sorts by; None when it names no version."""
    match = _match(name)
    if match is None:
        return None
    words = match[4].split(".") if match[4] else []
    # Numbers are lower than words, and a pre-release is lower than its release (semver.org, 11).
    before = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words)
    return (int(match[1]), int(match[2]), int(match[3]), (0, *before) if words else (1,))


def deployed_version(name: str) -> Version | None:
    """That of a tag which deployed already, perhaps when `v1.2` still counted as v1.2.0."""
    return next(filter(None, map(version, (name, f"{name}.0", f"{name}.0.0"))), None)


def preference(name: str) -> tuple[bool, str]:
    """Orders names of one version: the plain one is the greatest."""
    match = _match(name)
    return match is not None and match[5] is None, name


def next_patch(name: str) -> str:
    """The release after `name` that changes nothing but patches: `v1.2.3` -> `v1.2.4`, `v1.2.3-rc.1` -> `v1.2.3`.

    Raises:
        SourceError: the name has no version.
    """
    number = deployed_version(name)
    if number is None:
        raise SourceError(f"{name!r} ends with no version", hint="tag a release such as v1.0.0 first")
    patch = number[2] if number[3] != (1,) else number[2] + 1  # a pre-release comes before its release
    return f"{name[: _begin(name)]}{number[0]}.{number[1]}.{patch}"


def alarms(pattern: str, nameless: Iterable[str], twice: Iterable[str], lower: Iterable[str]) -> list[SourceError]:
    """What is said of tags that fit the pattern and cannot deploy: without a version; of the version of another that
    deploys; lower than what is deployed, on a commit that is none of its ancestors."""
    named = f"by semver.org, such as v1.0.0; or choose a pattern that they do not fit; {STAYS}"
    higher = f"tag a higher version; {STAYS}"
    kinds = (
        (nameless, f"fits `tags: {pattern}` and names no version", named, Reason.no_version),
        (twice, "is the version of another release; what follows a `+` orders nothing", higher, Reason.same_version),
        (lower, "is lower than the deployed release, and no part of it", higher, Reason.lower_version),
    )
    return [
        SourceError(f"{_some(names)}: {what}", hint=hint, reason=reason)
        for each, what, hint, reason in kinds
        if (names := sorted(each))
    ]


def _match(name: str) -> re.Match[str] | None:
    return _SEMVER.fullmatch(name, _begin(name)) if len(name) <= LONGEST else None


def _begin(name: str) -> int:
    """Where the version begins."""
    digit = re.compile("[0-9]").search(name, name.rfind("/") + 1)
    return digit.start() if digit else len(name)


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:LONGEST] for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
