"""`images.lock`, at the top of a fleet repo: what tags of images mean; made by `toweros lock`, moved by the schedule.

    # what tags of images mean; made by `toweros lock`
    web.example/nginx:1.27 sha256:<64 hex>
    web.example/redis:7@sha256:<64 hex> sha256:<64 hex>

A line says what is written (an image with a tag; with `track`, also the digest beside it), and the digest that this
means. It can say nothing else, so whoever may sign this file alone names neither another image nor another tag. A line
that nothing asks for means nothing: a digest that a person replaces beside `track` counts at once.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from gitops.errors import Problem
from gitops.model import Tree

FILE = "images.lock"
HEADER = "# what tags of images mean; made by `toweros lock`"
HINT = "run `toweros lock images.lock`"
MAX_BYTES = 1 << 20
TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
"""distribution-spec 1.1, "Pulling manifests"."""
NAME = r"[a-z0-9][a-zA-Z0-9._-]*(:[0-9]{1,5}(?=/))?(/[a-zA-Z0-9._-]+)*"
DIGEST = r"sha256:[0-9a-f]{64}"
_LINE = re.compile(rf"({NAME}:{TAG}(?:@{DIGEST})?) ({DIGEST})")


def pins(tree: Tree) -> Mapping[str, str]:
    """What is written -> `sha256:HEX`. Its mistakes are told by `mistakes`."""
    return _parse(tree.read(FILE))[0] if FILE in tree.entries() else {}


def mistakes(tree: Tree) -> tuple[Problem, ...]:
    """Every line that is none."""
    return _parse(tree.read(FILE))[1] if FILE in tree.entries() else ()


def doubtful(tree: Tree, written: str) -> bool:
    """Whether the file may say what an image means, in a line that is none."""
    data = tree.read(FILE) if mistakes(tree) else b""
    rows = _lines(data)
    return len(data) > MAX_BYTES or any(written in row and not _LINE.fullmatch(row) for row in rows)


def dump(rows: Mapping[str, str]) -> bytes:
    """The text of an images.lock."""
    return "\n".join([HEADER, *(f"{written} {digest}" for written, digest in sorted(rows.items())), ""]).encode()


def _lines(data: bytes) -> list[str]:
    """With Unix or Windows line ends: a clone may have either."""
    return [line.removesuffix("\r") for line in data.decode(errors="replace").split("\n")]


@lru_cache(maxsize=4)
def _parse(data: bytes) -> tuple[Mapping[str, str], tuple[Problem, ...]]:
    rows: dict[str, str] = {}
    problems: list[Problem] = []
    if len(data) > MAX_BYTES:
        return rows, (Problem(FILE, 1, 1, f"{len(data)} bytes are too many", f"at most {MAX_BYTES}; {HINT}"),)
    for number, line in enumerate(_lines(data), 1):
        match = _LINE.fullmatch(line)
        if line in ("", HEADER):
            continue
        if match is None:
            problems.append(Problem(FILE, number, 1, "not a line of a lock: `IMAGE:TAG sha256:HEX`", HINT))
        elif (written := line.partition(" ")[0]) in rows:
            problems.append(Problem(FILE, number, 1, f"two lines say what `{written}` means", f"keep one, or {HINT}"))
        else:
            rows[written] = line.partition(" ")[2]
    return rows, tuple(problems)
