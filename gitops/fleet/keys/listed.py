"""Lines of an allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS), and which names are one person. Pure.

In: the file's bytes. Out: a `Line` for each that is no comment. Rules: ssh-keygen decides what counts; this only says
which names stand beside which key, so what it cannot read has no key.

    lines(b'ada,ada@example.org namespaces="git" ssh-ed25519 AAAA...')[0].names     # ("ada", "ada@example.org")
    one_person([("ada", "ada@example.org"), ("ben",)])                               # {"ada": "ada", ...}
"""

import base64
import binascii
import calendar
import hashlib
import re
import time
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
_OPTION = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_DATE = re.compile("([0-9]{8})((?:[0-9]{2}){2,3})?(Z)?")
_PATTERN = frozenset("*?!")


@dataclass(frozen=True)
class Line:
    """One line, counted from 1. `key`: as in a .pub file, without a comment; empty where no key can be read."""

    number: int
    text: str
    names: tuple[str, ...]
    options: str = ""
    key: str = ""
    lead: str = ""
    """What stands before the key."""

    @property
    def authority(self) -> bool:
        """It certifies others' keys: its names are not one person's."""
        return any(word.lower() == _AUTHORITY for word in _words(self.options))

    @property
    def certificate(self) -> bool:
        """It lists a certificate in place of a key: ssh-keygen would take it whatever its dates say."""
        return "-cert-v01@" in self.key.partition(" ")[0]

    @property
    def literal(self) -> tuple[str, ...]:
        """The names that are no patterns."""
        return tuple(name for name in self.names if not set(name) & _PATTERN)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that let names in."""
        return tuple(name for name in self.names if set(name) & _PATTERN and not name.startswith("!"))

    @property
    def after(self) -> int | None:
        """Unix seconds from when on it is valid; None: it says none."""
        return self._date("valid-after")

    @property
    def before(self) -> int | None:
        """Unix seconds until when it is valid; None: it says none."""
        return self._date("valid-before")

    def _date(self, option: str) -> int | None:
        """As ssh-keygen reads it: of the machine's time zone, or with a Z of UTC."""
        words = (word.partition("=") for word in _words(self.options))
        said = next((value.strip('"') for name, _, value in words if name.lower() == option), "")
        found = _DATE.fullmatch(said)
        if not found:
            return None
        date = (found[1] + (found[2] or "")).ljust(14, "0")
        try:
            parts = time.strptime(date, "%Y%m%d%H%M%S")
            return int(calendar.timegm(parts) if found[3] else time.mktime(parts))
        except (ValueError, OverflowError):
            return None

    def vouches(self, name: str) -> bool:
        """Whether an authority's certificate for this name may count: as OpenSSH's match_pattern_list."""
        if not name or set(name) & _PATTERN or not self.authority:
            return False
        refused = any(_fits(each[1:], name) for each in self.names if each.startswith("!"))
        return not refused and any(_fits(each, name) for each in self.names)

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
    return Line(number, text, names, options, f"{found['type']} {found['key']}", text[: found.start("type")].strip())


def _words(options: str) -> list[str]:
    """The options of a line: a comma within quotes parts nothing."""
    return _OPTION.findall(options)


def _fits(pattern: str, name: str) -> bool:
    """OpenSSH's match_pattern: `*` and `?`, which no letter stops. In linear time, unlike theirs."""
    first, *parts = pattern.split("*")
    if not parts:
        return _at(first, name, 0) and len(first) == len(name)
    if not _at(first, name, 0):
        return False
    at, last = len(first), parts.pop()
    for part in parts:
        at = next((start for start in range(at, len(name) - len(part) + 1) if _at(part, name, start)), -1)
        if at < 0:
            return False
        at += len(part)
    return len(name) - len(last) >= at and _at(last, name, len(name) - len(last))


def _at(part: str, name: str, start: int) -> bool:
    there = name[start : start + len(part)]
    return len(there) == len(part) and all(one in ("?", other) for one, other in zip(part, there, strict=True))


def mark(key: bytes) -> str:
    """Stands for a key's bytes among names; sorts behind all of them."""
    return f"\U0010ffff{hashlib.sha256(key).hexdigest()}"


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
    """Names that a line, or a key, holds together; and the key's mark."""
    of_key: dict[bytes, list[str]] = {}
    for line in listed:
        if not line.authority:
            of_key.setdefault(line.blob or line.text.encode(), []).extend(line.names)
    return [(*names, mark(key)) for key, names in of_key.items()]
