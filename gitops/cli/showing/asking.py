"""Asked before what cannot be undone; and what would be done, where nothing shall be.

In: a sentence that says what is lost. Out: nothing, if somebody says yes. Rules: No is the default; where nobody can
answer (no terminal), it is refused with the command to type; `--yes` asks nobody.

    sure("its key never counts again", yes)
"""

import shlex
import sys
from typing import Annotated

import typer

from gitops.cli.showing.words import talk
from gitops.errors import TowerosError

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def sure(sentence: str, yes: bool) -> None:
    """Raises TowerosError: somebody said no, or nobody is there."""
    if yes:
        return
    again = shlex.join(["toweros", *sys.argv[1:], "--yes"])
    if not sys.stdin.isatty():
        raise TowerosError(f"nobody is here to be asked: {sentence}", hint=f"if it shall be: {again}")
    talk.print(sentence)
    try:
        agreed = typer.confirm("Go on?", default=False, err=True)
    except typer.Abort:  # the end of the input
        agreed = False
    if not agreed:
        raise TowerosError("nothing is done", hint="or pass --yes")


def would(sentence: str) -> None:
    """What a verb would do, on stderr as everything that is no data."""
    talk.print(f"would do: {sentence}; nothing is done")
