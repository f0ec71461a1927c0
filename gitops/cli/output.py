"""How verbs speak: data on stdout (table, JSON or YAML), talk on stderr, colour only on a terminal.

emit(rows, output, lambda: table(["BOX", "SYNC"], [[row["box"], row["sync"]] for row in rows]))
"""

import enum
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import yaml
from rich.text import Text

from gitops.cli.showing.sheet import Cell, Sheet
from gitops.cli.showing.words import console, printable, talk

__all__ = ["Output", "OutputOption", "coloured", "console", "emit", "printable", "table", "talk"]


class Output(enum.StrEnum):
    """The value of `-o`."""

    table = "table"
    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to print the result.")]


def emit(value: Any, output: Output, render: Callable[[], object]) -> None:
    """Print `value` as JSON or YAML, or what `render` gives for people."""
    if output is Output.json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif output is Output.yaml:
        plain = json.loads(json.dumps(value))  # an enum is its text
        sys.stdout.write(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    else:
        console.print(render())  # a str is plain


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Sheet:
    """A plain table, the most important column first: upper-case heads, no lines between rows."""
    return Sheet(columns, rows)


def coloured(words: str, style: str = "") -> Text:
    """Words of ours; whatever others say is plain."""
    return Text(words, style=style)
