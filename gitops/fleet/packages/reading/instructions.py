"""A Dockerfile cut into instructions, here-documents with them (Dockerfile reference, "Here-Documents"). Pure.

In: lines. Out: instructions with their lines, counted from 0. Rules: comments and empty lines inside of one do not
count; `escape` makes a line go on; what follows `RUN <<EOF`, up to a line `EOF`, is text and no instruction.

    for each in Instructions(lines): each.first, each.last, each.keyword, each.text, each.heredocs
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*([a-z][a-z0-9]*)\s*=\s*(.+?)\s*", re.IGNORECASE)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+|["'\\]""")
_HERE = re.compile(r"""(\d*)<<(-?)(?:"([^"<]+)"|'([^'<]+)'|([^\s"'<\\]+))""")
_MAYBE = re.compile(r"\d*<<-?[^<]+")
WITH_HEREDOCS = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Heredoc:
    """Text in a Dockerfile. `word`: as it is named; `tabs`: those at the beginnings of lines do not count (`<<-`)."""

    word: str
    name: str
    text: str
    tabs: bool


@dataclass(frozen=True)
class Instruction:
    """One instruction; `last` is the last line of its here-documents, too. `open`: names of those that never end."""

    first: int
    last: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def keyword(self) -> str:
        return self.text.split(maxsplit=1)[0].upper()

    @property
    def words(self) -> list[str]:
        return self.text.split()[1:]


class Instructions:
    """See above. `texts` are the lines of here-documents, once all instructions were taken."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self.texts: set[int] = set()

    def __iter__(self) -> Iterator[Instruction]:
        escape, _ = escape_of(self._lines)
        goes_on = re.compile(rf"{re.escape(escape)}[ \t]*\r?$")
        number, first, parts = 0, 0, list[str]()
        while number < len(self._lines):
            line = self._lines[number]
            number += 1
            if not line.strip() or is_comment(line):
                continue
            first = first if parts else number - 1
            parts.append(goes_on.sub("", line))
            if not goes_on.search(line):
                instruction = self._whole(first, number, "".join(parts))
                yield instruction
                number, parts = instruction.last + 1, []
        if parts and "".join(parts).strip():
            yield Instruction(first, len(self._lines) - 1, "".join(parts))

    def _whole(self, first: int, after: int, text: str) -> Instruction:
        """An instruction whose own lines end before `after`, with its here-documents."""
        heredocs, unended, number = list[Heredoc](), list[str](), after
        for word in heredoc_words(text):
            match = _HERE.fullmatch(word)
            name = (match[3] or match[4] or match[5]) if match else ""
            end = self._end(number, name, bool(match and match[2])) if match else None
            if match is None or end is None:
                unended.append(word)
                continue
            body = "".join(f"{line}\n" for line in self._lines[number:end])
            heredocs.append(Heredoc(word, name, body.replace("\r\n", "\n"), bool(match[2])))
            self.texts.update(range(number, end + 1))
            number = end + 1
        return Instruction(first, number - 1, text, tuple(heredocs), tuple(unended))

    def _end(self, start: int, name: str, tabs: bool) -> int | None:
        for number in range(start, len(self._lines)):
            line = self._lines[number].removesuffix("\r")
            if (line.lstrip("\t") if tabs else line) == name:
                return number
        return None


def heredoc_words(text: str) -> list[str]:
    """The words that begin a here-document; quotes around one make it a text."""
    parts = text.split(maxsplit=1)
    if len(parts) == 2 and parts[0].upper() == "ONBUILD":
        parts = parts[1].split(maxsplit=1)
    if len(parts) < 2 or parts[0].upper() not in WITH_HEREDOCS:
        return []
    return [word for word in _WORD.findall(parts[1]) if _MAYBE.fullmatch(word)]


def is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def escape_of(lines: Sequence[str]) -> tuple[str, int]:
    """What makes a line go on in the next one, and where that is said, counted from 0: directives end with the first
    line that is none (Dockerfile reference, "Parser directives")."""
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape" and directive[2] in ("\\", "`"):
            return directive[2], number
    return "\\", 0
