"""What a commit of updates says: source packages with their versions, the advisories that they mend, links. Pure.

In: the updates of one set, the packages of the fleet repo whose locks change. Out: the message, one subject and a body.
Rules: the words of feeds are strangers' words: one line each, printable, bounded.

    message((Update(...),), ("pkg/sshd",), known=True)
"""

from collections.abc import Iterable, Sequence

from gitops.model import Finding
from gitops.security.schedule.choice import Update

SHOWN = 20
"""Advisories of one source package that are named."""
WIDTH = 100
"""Characters of a stranger's word."""
UNSURE = "what else it fixes is not known: no feed can tell of this version"
UNKNOWN = "What they fix is not known: no feed of advisories has been read."


def message(updates: Sequence[Update], packages: Sequence[str], *, known: bool) -> str:
    """The whole commit message."""
    body = [line for update in updates for line in _lines(update, known=known)]
    note = [] if known else ["", UNKNOWN]
    return "\n".join([subject(updates), "", *body, *note, "", f"Locks: {', '.join(packages)}", ""])


def subject(updates: Sequence[Update]) -> str:
    """One line: what moves, or how many do; and the worst that it mends."""
    worst = min(updates, key=lambda update: update.severity.rank).severity
    fixes = len({finding.advisory.id for update in updates for finding in update.fixed})
    ending = f" ({fixes} advisor{'y' if fixes == 1 else 'ies'}, {worst})" if fixes else ""
    if len(updates) == 1:
        return f"locks: {updates[0].move}{ending}"
    return f"locks: {len(updates)} source packages updated{ending}"


def advisories(update: Update) -> list[Finding]:
    """Those that are named, the worst first, each once."""
    each = {finding.advisory.id: finding for finding in update.fixed}
    return sorted(each.values(), key=lambda finding: (finding.advisory.severity.rank, finding.advisory.id))


def line_of(finding: Finding) -> str:
    """`CVE-2026-1 (high): title https://...`"""
    advisory = finding.advisory
    title = f": {printable(advisory.title)}" if advisory.title else ""
    link = f" {printable(advisory.link)}" if advisory.link.startswith(("http://", "https://")) else ""
    return f"{printable(advisory.id)} ({advisory.severity}){title}{link}"


def printable(text: str) -> str:
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words if len(words) <= WIDTH else words[: WIDTH - 3] + "..."


def _lines(update: Update, *, known: bool) -> Iterable[str]:
    yield str(update.move)
    every = advisories(update)
    yield from (f"  {line_of(finding)}" for finding in every[:SHOWN])
    if len(every) > SHOWN:
        yield f"  and {len(every) - SHOWN} more"
    if known and not update.sure:
        yield f"  {UNSURE}"
