"""What `git add` puts into Git of a file's bytes, where attributes say that it is not the bytes as they lie.

In: bytes; what gitattributes(5) and `core.autocrlf` say of the file; what the index has of it. Out: the bytes of its
blob, as Git's convert.c makes them: first the encoding, then line ends, then `$Id$`. Rules: what no library of ours
reads as Git does is refused, never guessed; `filter` is a program of the machine's, and for others (`rules`).

    added(b"a\\r\\n", Attributes(text=True), bytes)         # b"a\\n"
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

Value = bool | str | None
"""Of an attribute: set, unset (`-text`), a word, or nothing said."""
_IDENT = re.compile(rb"\$Id:[^$\n]*\$")
_LONE_CR = re.compile(rb"\r(?!\n)")
_PRINTED_BELOW_SPACE = b"\b\t\x1b\x0c"
_UNPRINTED = bytes({*range(0x20), 0x7F} - {*b"\r\n", *_PRINTED_BELOW_SPACE})
_MARKED = ("UTF-16", "UTF-32")
"""Encodings of which a file must begin with a byte order mark; of those that name an order it must not."""
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True)
class Attributes:
    """What is said of one file. `auto`: `core.autocrlf` is `true` or `input`."""

    text: Value = None
    crlf: Value = None
    eol: Value = None
    ident: Value = None
    encoding: Value = None
    auto: bool = False

    def line_ends(self) -> str:
        """`text`: Windows line ends are none in Git; `auto`: where the file looks like text; `as they are`."""
        said = next((each for each in map(_text, (self.text, self.crlf)) if each), "")
        if said != "as they are" and not (said == "auto" and self.eol in ("lf", "crlf")):
            said = "text" if self.eol in ("lf", "crlf") else said
        return said or ("auto" if self.auto else "as they are")


def _text(value: Value) -> str:
    return {True: "text", "input": "text", "auto": "auto", False: "as they are", None: ""}.get(value, "")


def added(data: bytes, attributes: Attributes, before: Callable[[], bytes]) -> bytes:
    """The blob that these bytes become. `before`: the file as the index has it, empty where it has none.

    Raises:
        ValueError: with the reason, as a sentence's end.
    """
    if isinstance(attributes.encoding, str) and attributes.encoding and data:
        data = _decoded(data, attributes.encoding)
    ends = attributes.line_ends()
    if ends == "text":
        data = data.replace(b"\r\n", b"\n")
    elif ends == "auto" and b"\r\n" in data and not _binary(data):
        known = before()
        data = data if b"\r\n" in known and not _binary(known) else data.replace(b"\r\n", b"\n")
    return _IDENT.sub(b"$Id$", data) if attributes.ident is True else data


def _decoded(data: bytes, encoding: str) -> bytes:
    name = encoding.upper()
    if name in ("UTF-8", "UTF8"):
        return data
    if name.startswith(_MARKED) and not name.endswith("-BOM") and data.startswith(_BOMS) != (name in _MARKED):
        raise ValueError(f"which begins with {'a' if name in _MARKED else 'no'} byte order mark, unlike this file")
    try:
        return data.decode("utf-16" if name == "UTF-16LE-BOM" else encoding).encode()
    except (LookupError, UnicodeError):
        raise ValueError("and cannot be read as that") from None


def _binary(data: bytes) -> bool:
    """Whether Git takes a file for no text (convert.c, convert_is_binary)."""
    if b"\0" in data or _LONE_CR.search(data):
        return True
    odd = len(data) - len(data.translate(None, _UNPRINTED))
    printed = len(data.translate(None, _UNPRINTED + b"\r\n"))
    return (printed >> 7) < odd - data.endswith(b"\x1a")
