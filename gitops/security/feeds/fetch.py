"""One feed's file, from an URL or a folder of one's own, within bounds.

In: a place, and what was said there last time. Out: the file and its marks, or that nothing is new. Rules: an URL is
asked with If-None-Match and If-Modified-Since (RFC 9110, 13.1); never more than `LARGEST` bytes nor `LONGEST` seconds,
packed or not; only http and https, also after a redirect; a folder is as new as the newest file in it.

    fetch(Path("tracker.json"), "https://feeds.example/tracker.json", Marks(etag='"5c1e"'))
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path

import requests

from gitops import __version__
from gitops.errors import DocumentError
from gitops.web.ask import Answer, Bounds, TooSlowError, WebError, ask

CONNECT, SILENCE = 10.0, 60.0
"""Seconds: until a connection stands; without a byte."""
LONGEST = 1800.0
"""Seconds that one feed may take: 70 MB at 40 kB/s."""
LARGEST = 512 << 20
"""Bytes of one feed; the largest that we know is a quarter of it."""
FILES = 1_000_000
"""Files of one folder or archive."""
HEADERS = {"User-Agent": f"toweros/{__version__}", "Accept": "*/*"}


@dataclass(frozen=True)
class Marks:
    """What tells that nothing is new. `modified`: when the feed was last written (Unix seconds, 0: it does not say)."""

    etag: str = ""
    changed: str = ""
    """The header Last-Modified as it came; of a folder, the digest of its names, sizes and times."""
    modified: int = 0


def fetch(target: Path, place: str, before: Marks) -> tuple[Path | None, Marks]:
    """Where the feed is now (None: as it was before), and its marks. `target` is written when it is fetched.

    Raises:
        DocumentError: there is none, or the server does not behave.
        OSError: `target` cannot be written.
    """
    if not place.startswith(("http://", "https://")):
        return _local(Path(place), before)
    try:
        with ask(place, Bounds(CONNECT, SILENCE, LONGEST, LARGEST), _asking(before)) as answer:
            return _answered(answer, target, before)
    except TooSlowError as error:
        raise DocumentError(f"it takes longer than {LONGEST:.0f} s", hint="is there a nearer mirror?") from error
    except WebError as error:
        raise DocumentError(f"it cannot be fetched: {error}", hint="is the place right, and up?") from error


def _asking(before: Marks) -> dict[str, str]:
    conditions = {"If-None-Match": before.etag, "If-Modified-Since": before.changed}
    return HEADERS | {name: value for name, value in conditions.items() if value}


def _answered(answer: Answer, target: Path, before: Marks) -> tuple[Path | None, Marks]:
    if answer.downgraded:
        raise DocumentError("it leads from https to http", hint="name the place where it is now")
    if answer.status == requests.codes.not_modified and (before.etag or before.changed):
        return None, before
    if answer.status != requests.codes.ok:
        raise DocumentError(f"the server says {answer.status}", hint="is the place right?")
    if answer.save(target, unpack=True) > LARGEST:
        raise DocumentError(f"it is larger than {LARGEST >> 20} MiB", hint="is the place right?")
    changed = answer.headers.get("Last-Modified", "")[:100]
    return target, Marks(answer.headers.get("ETag", "")[:200], changed, _moment(changed))


def _moment(text: str) -> int:
    try:
        return max(0, int(parsedate_to_datetime(text).timestamp())) if text else 0
    except (ValueError, TypeError, OverflowError):
        return 0


def _local(place: Path, before: Marks) -> tuple[Path | None, Marks]:
    """A file or folder of one's own."""
    try:
        files = list_files(place)
        rows = [(str(path.relative_to(place)), path.stat()) for path in files]
    except OSError as error:
        raise DocumentError(f"{place} cannot be read: {error.strerror}", hint="is the place right?") from error
    if not rows:
        raise DocumentError(f"{place} is empty, or not there", hint="is the place right?")
    words = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in sorted(rows))
    marks = Marks("", sha256(words.encode(errors="surrogateescape")).hexdigest(), max(int(s.st_mtime) for _, s in rows))
    return (None if marks.changed == before.changed else place), marks


def list_files(place: Path) -> list[Path]:
    """A file alone, or the documents in a folder, sorted.

    Raises:
        DocumentError: they are too many.
    """
    if not place.is_dir():
        return [place] if place.is_file() else []
    found = []
    for path in place.rglob("*"):
        if path.suffix in (".json", ".zip", ".gz") and path.is_file() and not path.is_symlink():
            found.append(path)
        if len(found) > FILES:
            raise DocumentError(f"{place} has more than {FILES} files", hint="is the place right?")
    return sorted(found)
