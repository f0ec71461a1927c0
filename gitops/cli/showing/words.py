"""Words on a terminal: whatever a box, a commit, a forge or a file says is shown and never acted on.

In: text of anybody's. Out: what is printed. Rules:

- A plain `str` has no markup: `[/x]` and `[red]` are letters. Colour is for words of ours, as a `Text` with a style.
- No letter that a terminal acts on gets through: control characters, escape sequences, marks that turn the direction of
  a line round, halves of letters; each is shown as `?`. A tab is four blanks; a line's end stays.
- A line is as wide as the terminal (`COLUMNS` counts for a file, too), at least `NARROW`; a pipe gets whole lines.

    talk.print("[/x] is no markup")
    talk.say("error:", "red", message)
"""

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

NARROW, PIPE = 40, 100_000
"""Characters of a line: at least, and where nobody says how wide it is."""
MAX_DIGITS = 5


class Words(Console):
    """A console that takes no text for markup."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; text is plain."""
        options.setdefault("width", width())
        super().print(*(plain(each) if isinstance(each, str) else each for each in objects), **options)

    def on_broken_pipe(self) -> None:
        """Whoever read has gone: `main` ends quietly."""
        raise BrokenPipeError

    def say(self, label: str, style: str, text: str) -> None:
        """A word of ours in colour, and what there is to say."""
        self.print(Text.assemble((label, style), " ", plain(text)))


def plain(text: str) -> Text:
    return Text(printable(text))


def printable(text: str) -> str:
    """Words of others, without what a terminal would act on."""
    text = text.replace("\t", "    ")
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def width() -> int:
    """Characters of a line."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said[:MAX_DIGITS]) > 0:
        return max(int(said[:MAX_DIGITS]), NARROW)
    return max(shutil.get_terminal_size().columns, NARROW) if sys.stdout.isatty() else PIPE


console = Words(soft_wrap=True, highlight=False, width=PIPE)
talk = Words(stderr=True, soft_wrap=True, highlight=False, width=PIPE)


def warn(sentences: Iterable[str]) -> None:
    """What stops nobody, each in a line."""
    for sentence in sentences:
        talk.print(f"warning: {sentence}")
