"""What a box starts from the ESP that a power cut left, without hands: systemd-boot, the firmware after it, our initrd.

Pure. In: the ESP's entries, the firmware's second boot entry, the releases of which TOWEROS has every file. Out: the
release that runs in the end, and in which boot. The order is that of systemd-boot 257 (`boot_entry_compare`,
`strverscmp_improved`): the newest name, with no tries left behind all others. A UKI that is not ours the firmware
refuses, and goes on with its second entry; a release that is not whole the initrd gives up (pkg/initrd/init).
"""

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import NamedTuple

from toweros_agent.nouns import ENTRY

MOST = 12
"""Boots in a row without hands."""


@dataclass(frozen=True)
class Known:
    """A release that was signed for this box: digests of its boot files and of its document."""

    sequence: int
    release: str
    uki: str
    addon: str


@dataclass(frozen=True)
class File:
    """A boot entry on the ESP: its name, digest, and the digests of its addons."""

    name: str
    uki: str
    addons: tuple[str, ...]

    @property
    def left(self) -> int | None:
        match = re.fullmatch(r".*\+(\d+)(?:-(\d+))?\.efi", self.name, re.IGNORECASE)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class View:
    """The ESP as a boot loader sees it. `loader`: systemd-boot itself is one of this box's. `beside` are files that
    were gathered for an entry, and have not its name (`toweros-8.efi.new`): only the agent looks there."""

    files: tuple[File, ...]
    conf: str
    loader: bool
    beside: tuple[File, ...] = ()


class End(NamedTuple):
    """The release that runs in the end (None: the box is lost), in which boot, and what was started for it."""

    release: Known | None
    boots: int
    file: File | None = None


def compare(a: str, b: str) -> int:
    """`strverscmp_improved`: what is newer is greater."""
    while a or b:
        a, b = (re.sub(r"^[^0-9A-Za-z~.^-]+", "", each) for each in (a, b))
        for step in (_signs, _words):
            result, a, b = step(a, b)
            if result is not None:
                return result
    return 0


def _signs(a: str, b: str) -> tuple[int | None, str, str]:
    """Whoever has the separator is the older one."""
    for sign in ("~", "", "-", "^", "."):
        if not sign and not (a and b):
            return (a > "") - (b > ""), a, b
        if sign and a.startswith(sign) != b.startswith(sign):
            return (-1 if a.startswith(sign) else 1), a, b
        if sign and a.startswith(sign):
            a, b = a[1:], b[1:]
    return None, a, b


def _words(a: str, b: str) -> tuple[int | None, str, str]:
    """A run of digits, as a number, or of letters."""
    digits = a[:1].isdigit() or b[:1].isdigit()
    one, two = (re.match(r"\d*" if digits else r"[A-Za-z]*", each)[0] for each in (a, b))  # type: ignore[index]
    left, right = (int(one or -1), int(two or -1)) if digits else (one, two)
    result = None if left == right else 1 if left > right else -1  # type: ignore[operator]
    return result, a[len(one) :], b[len(two) :]


def pick(view: View) -> File | None:
    """systemd-boot's choice. An empty file is no program, so not in its list."""

    def order(one: File, two: File) -> int:
        if (one.left == 0) != (two.left == 0):
            return 1 if two.left == 0 else -1
        return compare(one.name.lower(), two.name.lower())

    best_first = sorted(view.files, key=cmp_to_key(order), reverse=True)
    wanted = re.search(r"^default\s+(\S+)", view.conf, re.MULTILINE)
    chosen = [each for each in best_first if wanted and fnmatch.fnmatch(each.name.lower(), wanted[1].lower())]
    return next(iter([*chosen, *best_first]), None)


def boot(view: View, fallback: str, known: Sequence[Known], whole: Collection[str]) -> End:
    """What comes of it, without hands."""
    for count in range(1, MOST + 1):
        file = pick(view) if view.loader else None
        if file and file.left:
            match = ENTRY.fullmatch(file.name)
            assert match, f"somebody else counts {file.name}"
            counted = replace(file, name=f"toweros-{match[1]}+{file.left - 1}-{int(match[3] or 0) + 1}.efi")
            view, file = _renamed(view, file, counted), counted
        if file is None or not any(each.uki == file.uki for each in known):
            file = next((each for each in view.files if each.name == fallback), None)
            if file is None or not any(each.uki == file.uki for each in known):
                return End(None, count)
        ours = [each for each in known if each.addon in file.addons]
        if len(ours) == 1 and ours[0].release in whole:
            return End(ours[0], count, file)
        if file.left is None:
            others = [each for each in view.files if each != file and each.name.startswith("toweros-")]
            if not others or not file.name.endswith(".efi"):
                return End(None, count)
            view = _renamed(view, file, replace(file, name=file.name.removesuffix(".efi") + "+0-1.efi"))
    return End(None, MOST)


def survives(started: File, checked: View) -> bool:
    """Is there still what was started, after the check of the ESP that init makes before the agent runs: as an entry,
    or beside it, whole, so that the agent gives it the name again (host/started.py)? Else nothing could be blessed."""
    match = ENTRY.fullmatch(started.name)
    again = f"toweros-{match[1]}.efi.new" if match else ""
    same = [each for each in checked.files if (other := ENTRY.fullmatch(each.name)) and match and other[1] == match[1]]
    return any(each.uki == started.uki for each in (*same, *(one for one in checked.beside if one.name == again)))


def _renamed(view: View, old: File, new: File) -> View:
    return replace(view, files=tuple(new if each == old else each for each in view.files))
