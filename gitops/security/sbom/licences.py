"""Licences in SPDX's words.

In: debian/copyright in its machine-readable form (DEP-5), or what a wheel says. Out: SPDX expressions (SPDX 2.3, annex
D) where the words have one, else `LicenseRef-` and the package's own words; nothing where nobody says it.

    of_copyright(text)     # ("GPL-2.0-or-later", "MIT")
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from debian.copyright import Copyright, Error, Header, MachineReadableFormatError
from license_expression import ExpressionError, Licensing, get_spdx_licensing

KNOWN = {
    "expat": "MIT",
    "bsd-2-clauses": "BSD-2-Clause",
    "bsd-3-clauses": "BSD-3-Clause",
    "bsd-4-clauses": "BSD-4-Clause",
    "zlib/libpng": "Zlib",
    "artistic": "Artistic-1.0-Perl",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
    "mpl-1.1": "MPL-1.1",
    "cc0": "CC0-1.0",
    "psf-2": "PSF-2.0",
    "bsl-1.0": "BSL-1.0",
    "boost-1.0": "BSL-1.0",
}
"""Short names of DEP-5 that SPDX has under another one."""
GNU = re.compile(r"((?:l|a)?gpl|gfdl)-(\d+(?:\.\d+)?)(\+?)", re.I)
FORMAT = re.compile(rb"Format:[^\n]*")
LONGEST = 200
"""Characters of words that are still a name and no text of a licence."""


def of_copyright(text: bytes) -> tuple[str, ...]:
    """The licences of a debian/copyright; none when a program cannot read it."""
    text = text.lstrip()
    if not FORMAT.match(text):
        return ()
    # However an old file writes the address of the format: the library would print a warning.
    text = FORMAT.sub(f"Format: {Header().format}".encode(), text, count=1)
    try:
        parsed = Copyright(text.decode(errors="replace").splitlines(), strict=False)
        told = (getattr(paragraph.license, "synopsis", "") for paragraph in parsed.all_files_paragraphs())
        words = {str(each or "") for each in told}
    except (MachineReadableFormatError, Error, ValueError, TypeError):
        return ()
    return tuple(sorted({spdx(each) for each in words if each.strip()}))


def of_wheel(expression: str, licence: str) -> tuple[str, ...]:
    """The licence of a wheel: `License-Expression` (PEP 639), or a short `License` (core metadata)."""
    words = (expression or licence).strip()
    return (spdx(words),) if words and "\n" not in words and len(words) <= LONGEST else ()


def spdx(words: str) -> str:
    """An SPDX expression for the words of a package. After a comma, `and` binds less than `or` (DEP-5)."""
    parts = [_alternatives(part) for part in re.split(r",\s+and\s+", words.strip(), flags=re.I)]
    text = " AND ".join(f"({part})" if " OR " in part and len(parts) > 1 else part for part in parts)
    return text if _valid(text) else reference(words)


def _alternatives(words: str) -> str:
    parts = [list(_names(part)) for part in re.split(r"\s+or\s+|\s*\|\s*", words, flags=re.I)]
    return " OR ".join(" AND ".join(part) if len(parts) == 1 else _group(part) for part in parts if part)


def expression(licences: Iterable[str]) -> str:
    """All of them as one expression; empty when there is none."""
    each = list(dict.fromkeys(licences))
    return " AND ".join(f"({one})" if " " in one and len(each) > 1 else one for one in each)


def references(text: str) -> list[str]:
    """The `LicenseRef-` names in an expression."""
    return sorted(set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", text)))


def reference(words: str) -> str:
    return "LicenseRef-" + (re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-") or "unnamed")


def _names(words: str) -> Iterator[str]:
    for part in re.split(r",?\s+and\s+|\s*&\s*|,\s*", words, flags=re.I):
        if part:
            yield _name(part.strip(" ()"))


def _name(word: str) -> str:
    name, _, exception = (text.strip() for text in re.sub(r"\s+with\s+", "\0", word, flags=re.I).partition("\0"))
    if exception:
        full = f"{_name(name)} WITH {exception.removesuffix(' exception')}"
        return full if _valid(full) else reference(word)
    if gnu := GNU.fullmatch(name):
        version = gnu[2] if "." in gnu[2] else f"{gnu[2]}.0" if gnu[1].lower() != "gfdl" else gnu[2]
        return f"{gnu[1].upper()}-{version}-{'or-later' if gnu[3] else 'only'}"
    name = KNOWN.get(name.lower(), name)
    return _canonical(name) or reference(word)


def _group(names: list[str]) -> str:
    return f"({' AND '.join(names)})" if len(names) > 1 else names[0]


@cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


@cache
def _canonical(text: str) -> str:
    """With the case that SPDX writes; empty when SPDX has no such licence."""
    try:
        parsed = _licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, AttributeError, TypeError, ValueError):
        return ""
    return "" if parsed is None else str(parsed)


def _valid(text: str) -> bool:
    plain = re.sub(r"LicenseRef-[A-Za-z0-9.-]+", "MIT", text)
    return bool(_canonical(plain))
