"""Lines of an allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS), and which names are one person. Pure.

In: the file's bytes. Out: a `Line` for each that is no comment. Rules: ssh-keygen decides what counts; this only says
which names stand beside which key, so what it cannot read has no key.

    lines(b'ada,ada@example.org namespaces="git" ssh-ed25519 AAAA...')[0].names     # ("ada", "ada@example.org")
    one_person([("ada", "ada@example.org"), ("ben",)])                               # {"ada": "ada", ...}
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

TYPE = r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+"
_LINE = re.compile(
    rf"""\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))                       # principals
         \s+(?:(?P<options>(?:[^\s"]|"(?:[^"\\]|\\.)*")+)\s+)??          # options, if any
         (?P<type>{TYPE})\s+(?P<key>[A-Za-z0-9+/=]+)(?:\s|$)""",
    re.VERBOSE,
)
_NAMES = re.compile(r'\s*(?:"([^"]*)"|([^\s#"]\S*))')

_AUTHORITY = "cert-authority"


@dataclass(frozen=True)
class Line:
    """One line, counted from 1. `key`: as in a .pub file, without a comment; empty where no key can be read."""

    number: int
    text: str
    names: tuple[str, ...]
    options: str = ""
    key: str = ""
    plain: str = ""
    """What stands before the key, without `cert-authority`."""

    @property
    def authority(self) -> bool:
        """It certifies others' keys: its names are not one person's."""
        return any(word.lower() == _AUTHORITY for word in self.options.split(","))

    @property
    def blob(self) -> bytes:
        """The key's bytes, as they stand in signatures; empty where there are none."""
        try:
            return base64.b64decode(self.key.partition(" ")[2], validate=True)
        except binascii.Error:
            return b""


def lines(data: bytes) -> list[Line]:
    """What is listed, in the file's order."""
    # ssh-keygen ends lines at LF alone.
    texts = enumerate(data.decode(errors="replace").split("\n"), 1)
    return [_line(number, text) for number, text in texts if text.strip() and not text.lstrip().startswith("#")]


def _line(number: int, text: str) -> Line:
    found, named = _LINE.match(text), _NAMES.match(text)
    names = tuple(filter(None, ((named[1] or named[2] or "") if named else "").split(",")))
    if not found:
        return Line(number, text, names)
    options = found["options"] or ""
    others = ",".join(word for word in options.split(",") if word.lower() != _AUTHORITY)
    principals = text[: found.end("quoted") + 1] if found["quoted"] is not None else text[: found.end("bare")]
    return Line(number, text, names, options, f"{found['type']} {found['key']}", f"{principals} {others}".strip())


def one_person(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Each name's person, by the first name; groups that share a name are one."""
    person: dict[str, str] = {}
    for group in groups:
        names = list(group)
        known = {person[name] for name in names if name in person}
        first = min(known) if known else min(names, default="")
        person |= {name: first for name, other in person.items() if other in known} | dict.fromkeys(names, first)
    return person


def groups(listed: Iterable[Line]) -> list[tuple[str, ...]]:
    """Names that a line, or a key, holds together."""
    of_key: dict[bytes, list[str]] = {}
    for line in listed:
        if not line.authority:
            of_key.setdefault(line.blob or line.text.encode(), []).extend(line.names)
    return [tuple(names) for names in of_key.values()]
