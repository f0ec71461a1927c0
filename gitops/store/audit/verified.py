"""Whether lines of an audit log are all there, and as they were written.

In: lines with where they stand, what the database remembers, and what somebody noted. Out: what is wrong, the first of
it at most `MOST` times, and how far the log is. Rules: a line is changed, or one before it is gone, where it does not
follow; the oldest may only be gone as a later line says; who is remembered must be there.

    found = verified(AuditLog(folder).files.lines(), [AuditHead(18, digest)])
    found.wrong         # ("audit/000000000001.jsonl, line 7: line 8 does not follow ...",)
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gitops.model import sha256
from gitops.store.audit.chain import BEGUN, FIRST, Line, LineError, parse
from gitops.store.audit.files import DROPPED
from gitops.store.notes.audited import AuditHead

MOST = 20


@dataclass
class Verified:
    """What was read: `first` to `number` with the `digest` of the last one; `open`: acts whose end is not told."""

    first: int = 0
    number: int = 0
    digest: str = FIRST
    open: int = 0
    wrong: list[str] = field(default_factory=list)

    def say(self, words: str) -> None:
        if len(self.wrong) < MOST:
            self.wrong.append(words)


def verified(lines: Iterable[tuple[Path, int, bytes]], known: Iterable[AuditHead], *, part: bool = False) -> Verified:
    """`part`: it may begin with any line, as an export of the last week does."""
    found, heads = Verified(), {head.number: head for head in known if head.number}
    before, dropped, begun = "", set[tuple[int, str]](), set[int]()
    for path, at, data in lines:
        text = data.rstrip(b"\n")
        line = _line(found, f"{path}, line {at}", text)
        if line and not found.first:
            found.first, before, found.number, found.digest = line.number, line.before, line.number - 1, line.before
        if line:
            _follows(found, f"{path}, line {at}", line)
            if line.act.what == DROPPED and not line.ends:
                with suppress(ValueError):
                    dropped.add((int(line.act.subject), line.act.reason))
            if line.act.outcome == BEGUN and not line.ends:
                begun.add(line.number)
            begun.discard(line.ends)
        found.number, found.digest = (line.number if line else found.number + 1), sha256(text)
        if (head := heads.pop(found.number, None)) and head.digest != found.digest:
            found.say(f"{path}, line {at}: line {found.number} is another one than is remembered: it was changed")
    if found.first > 1 and not part and (found.first - 1, before) not in dropped:
        found.say(f"lines 1 to {found.first - 1} are gone, and no line says so")
    for number in sorted(heads):
        if number > found.number:
            found.say(f"lines {found.number + 1} to {number} are gone from the end: {number} is remembered")
    found.open = len(begun)
    return found


def _line(found: Verified, where: str, text: bytes) -> Line | None:
    try:
        return parse(text)
    except LineError as error:
        found.say(f"{where}: {error}")
        return None


def _follows(found: Verified, where: str, line: Line) -> None:
    if line.number != found.number + 1:
        found.say(f"{where}: line {line.number} follows line {found.number}: lines are gone, or came in")
    elif line.before != found.digest:
        found.say(f"{where}: line {line.number} does not follow: line {found.number} before it was changed")
