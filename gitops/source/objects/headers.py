"""The headers that every commit and tag has, in the order and the form that Git writes them. Pure.

In: the bytes above the message of a commit or an annotated tag. Out: nothing, or what is wrong, in the words of
git-fsck(1). Rules: what `git fsck` refuses, we refuse; a date that one reader takes for another one (`1e5`, a minus, a
leading zero, more than 63 bits, a zone of another length) says two things to two people who sign. A header that
follows these is anybody's.

    fault("commit", b"tree 4b8...\\nauthor ada <a@b> 1e5 +0000\\ncommitter ...")     # "badDate: author"
"""

import re

_WHO = {"commit": (b"author", b"committer"), "tag": (b"tagger",)}
_FIRST = {
    "commit": re.compile(rb"tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*"),
    "tag": re.compile(rb"object [0-9a-f]{40}\ntype (?:commit|tree|blob|tag)\ntag [^\n]*(?:\n|\Z)"),
}
_PERSON = re.compile(rb"(?P<name>[^<>\n]*)(?P<email><[^<>\n]*>)?(?P<rest>[^\n]*)")
_DATE = re.compile(rb" (?P<date>[^ \n]*)(?: (?P<zone>[^\n]*))?")
MAX_DATE = 1 << 63
"""Seconds that no clock of 64 bits shows."""


def fault(kind: str, top: bytes) -> str:
    """What is wrong with the headers of a `commit` or `tag`; empty: nothing."""
    first = _FIRST[kind].match(top)
    if first is None:
        return "its first headers are not those that Git writes, in Git's order"
    lines = top[first.end() :].split(b"\n")
    for number, who in enumerate(_WHO[kind]):
        word, _, line = lines[number].partition(b" ") if number < len(lines) else (b"", b"", b"")
        if word != who and kind == "tag":
            return ""  # tags of Git's first year have no tagger
        if word != who:
            return "multipleAuthors" if word == b"author" else f"missing{who.decode().capitalize()}"
        if wrong := _of_person(line):
            return f"{wrong}: {who.decode()}"
    return ""


def _of_person(line: bytes) -> str:
    """`NAME <EMAIL> SECONDS ZONE`, in the order in which fsck.c asks."""
    found = _PERSON.fullmatch(line)
    assert found is not None, "it matches whatever has no line end"
    name, email, rest = found["name"], found["email"], found["rest"]
    if not name and line.startswith(b"<"):
        return "missingNameBeforeEmail"
    if email is None:
        return "badName" if rest.startswith(b">") else "badEmail" if rest else "missingEmail"
    if not name.endswith(b" "):
        return "missingSpaceBeforeEmail"
    when = _DATE.fullmatch(rest)
    return _of_date(when["date"], when["zone"]) if when else "missingSpaceBeforeDate"


def _of_date(date: bytes, zone: bytes | None) -> str:
    if date.startswith(b"0") and date != b"0":
        return "zeroPaddedDate"
    if zone is None or not date.isdigit():
        return "badDate"
    if len(date) > len(str(MAX_DATE)) or int(date) >= MAX_DATE:
        return "badDateOverflow"
    return "" if re.fullmatch(rb"[+-][0-9]{4}", zone) else "badTimezone"
