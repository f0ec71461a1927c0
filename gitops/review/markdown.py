"""A `Summary` as the comment under a pull request. Pure.

In: a summary, a marker that the forge's bot finds its comment by. Out: GitHub-flavoured Markdown of at most `LIMIT`
characters (and bytes), whatever the size of the fleet: the head always stands whole, lists give way, and say how much
they left out. Words of the fleet repo are quoted: they make no link, no mention, no table cell, no HTML. No colour.

    markdown(summary, marker("plan"))
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from gitops.model import Action
from gitops.review.nouns import Group, Summary, Vulnerability
from gitops.review.text import (
    NO_RELEASE,
    NOTHING,
    WIPES,
    count,
    fetched,
    headline,
    policy_lines,
    sizes_note,
    version,
    vulnerability,
)

LIMIT = 65_536
"""Characters of a comment, by GitHub; we count bytes of UTF-8, of which there are never fewer."""
TABLE_BYTES, POLICY_BYTES = 24_000, 6_000
"""Bytes that the table of boxes, and the lines on the policy, may take."""
NAMES = 6
"""Boxes named in one cell."""
PER_LINE = 10
"""Boxes on one line of a folded list."""
_AUTOLINK = re.compile("(://|www[.])", re.IGNORECASE)
WORD = 300
"""Characters of one quoted word."""


def marker(name: str) -> str:
    """The hidden line by which a comment is found again."""
    return f"<!-- toweros:{name} -->"


def markdown(summary: Summary, mark: str = "", note: str = "") -> str:
    """The comment; `note` is a line of ours at its end."""
    head = [mark] if mark else []
    head += [
        "### TowerOS plan",
        "",
        f"**{headline(summary)}**" if not summary.empty else f"**{NO_RELEASE if summary.steering else NOTHING}**",
        "",
    ]
    head += [f"{quote(summary.base or 'nothing deployed')} to {quote(summary.head)}", ""]
    head += _fitting([f"- **{WIPES}**: {quote(each)}" for each in summary.wipes], POLICY_BYTES)
    head += _fitting([f"- Policy: {quote(line.strip())}" for line in policy_lines(summary)], POLICY_BYTES)
    head += _fitting([f"- Boxes are steered: {quote(each)}" for each in summary.steering], POLICY_BYTES)
    head += [f"- **Warning**: {quote(each)}" for each in summary.warnings]
    foot = [
        "",
        *([sizes_note(summary), ""] if summary.groups else []),
        f"Digest: `sha256:{summary.digest}`",
        *(["", note] if note else []),
        "",
    ]
    text = "\n".join(head) + "\n" + _table(summary.groups)
    room = LIMIT - len("\n".join(foot).encode())
    for title, lines in _details(summary):
        text += _folded(title, lines, room - len(text.encode()))
    return text + "\n".join(foot)


def _fitting(lines: Sequence[str], room: int, more: str = "- and {} more; `toweros plan` names them") -> list[str]:
    """As many lines as there is room for, in bytes; the last one says how many are left out."""
    left, fitting = room - len(more.encode()) - 8, list[str]()
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0:
            return [*fitting, more.format(len(lines) - len(fitting))]
        fitting.append(line)
    return fitting


def _table(groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    rows = ["", "| boxes | change | each fetches | fits | why |", "|---|---|---|---|---|"]
    rows += _fitting([_row(group) for group in groups], TABLE_BYTES, "| {} more kinds of change | | | | |")
    return "\n".join([*rows, "", ""])


def _row(group: Group) -> str:
    shown = ", ".join(quote(name) for name in group.boxes[:NAMES])
    more = f" and {len(group.boxes) - NAMES} more" if len(group.boxes) > NAMES else ""
    fits = {True: "yes", False: f"**no**: {quote(group.short)}", None: "?"}[group.fits]
    fetch = fetched(group)
    if group.action == Action.REMOVE:
        fits = fetch = ""
    return f"| {len(group.boxes)}: {shown}{more} | {group.change} | {fetch} | {fits} | {quote(group.reason)} |"


def _details(summary: Summary) -> Iterable[tuple[str, list[str]]]:
    """The folded lists, by importance."""
    if summary.builds:
        lines = [f"- {quote(step.subject)}: {quote(step.reason)}" for step in summary.builds]
        yield f"{count(len(lines), 'package')} to build", lines
    if summary.effects:
        yield "restarts, and what goes over which link", [f"- {quote(each)}" for each in summary.effects]
    if summary.rollout:
        yield "rollout", [f"- {quote(each)}" for each in summary.rollout]
    if summary.versions:
        yield f"{count(len(summary.versions), 'version')} changed", [f"- {quote(version(v))}" for v in summary.versions]
    security = summary.security
    if security:
        lines = [f"- fixes {_advisory(each)}" for each in security.fixes]
        lines = [f"- **brings in** {_advisory(each)}" for each in security.brings] + lines
        lines = [f"- not known: {quote(each)}" for each in security.unknown] + lines
        yield f"advisories: {len(security.fixes)} fixed, {len(security.brings)} brought in", lines
    layers = f"{count(summary.made, 'layer')} made, {summary.reused} reused"
    yield layers, [f"- {count(summary.unchanged, 'box', 'es')} unchanged"]
    for group in summary.groups:
        if len(group.boxes) > NAMES:
            # Forges look for links and mentions in HTML, too, but not in <code>.
            title = f"{len(group.boxes)} boxes: {group.change}, <code>{plain(group.reason)}</code>"
            yield title, _lines_of(group.boxes)


def _advisory(each: Vulnerability) -> str:
    return f"[{plain(each.advisory)}]({each.link}) {quote(vulnerability(each).partition(' ')[2])}"


def _lines_of(boxes: Sequence[str]) -> list[str]:
    rows = (boxes[start : start + PER_LINE] for start in range(0, len(boxes), PER_LINE))
    return [f"- {', '.join(quote(name) for name in row)}" for row in rows]


def _folded(title: str, lines: Sequence[str], room: int) -> str:
    """A folded list of as many lines as there is room for; nothing when there is none for one."""
    head, tail = f"<details><summary>{title}</summary>\n\n", "\n</details>\n"
    fitting = _fitting(lines, room - len((head + tail).encode()))
    return head + "\n".join(fitting) + tail if fitting[:1] == [*lines][:1] else ""


def quote(text: str) -> str:
    """Words of others, as code: no markup in it has a meaning, and nobody is mentioned."""
    return f"`{_line(text, {'`': chr(39), '|': '/'}) or ' '}`"


def plain(text: str) -> str:
    """One line without anything that Markdown, HTML or a table cell would act on; no address becomes a link (GFM's
    extended autolinks)."""
    harmless = {"`": "'", "|": "/", "<": "(", ">": ")", "@": "(at)", "*": "-", "&": "+", "[": "(", "]": ")", "#": ""}
    return _AUTOLINK.sub(r"\1 ", _line(text, harmless))


def _line(text: str, harmless: Mapping[str, str]) -> str:
    clean = "".join(harmless.get(letter, letter) if letter.isprintable() else "?" for letter in text[:WORD])
    return clean + ("..." if len(text) > WORD else "")
