"""Times and revisions, as people read them on the page and in the terminal."""

from datetime import UTC, datetime

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(then: int, now: int) -> str:
    """`3 min`: how long ago, in the largest unit that fits; `never` for 0."""
    if not then:
        return "never"
    seconds = max(0, now - then)
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), (1, "s"))
    return f"{seconds // size} {unit}"


def lasted(seconds: int) -> str:
    """`2 h 5 min`: how long something took, in its two largest units."""
    parts, left = list[str](), max(seconds, 0)
    for size, unit in UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts) or "0 s"


def moment(then: int) -> str:
    """A time in UTC, to the second; one that no calendar has, as its number."""
    try:
        return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if then else ""
    except (ValueError, OverflowError, OSError):
        return f"second {then}"


def short(revision: str) -> str:
    """`main@1a2b3c4d5e6f`: a revision that fits on a phone."""
    ref, found, commit = revision.partition("@sha1:")
    return f"{ref}@{commit[:12]}" if found else revision
