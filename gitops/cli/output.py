"""How verbs speak: data on stdout (table, JSON or YAML), talk on stderr, colour only on a terminal.

emit(rows, output, lambda: table(["BOX", "SYNC"], [[row["box"], row["sync"]] for row in rows]))
"""

import enum
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import yaml
from rich import box as boxes
from rich.console import Console
from rich.table import Table


class Output(enum.StrEnum):
    """The value of `-o`."""

    table = "table"
    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to print the result.")]

WIDTH = max(shutil.get_terminal_size().columns, 120) if sys.stdout.isatty() else 1000
"""Characters of a line: nothing is cut off in a file or a pipe, nor the reason at a line's end on a narrow terminal."""

console = Console(soft_wrap=True, highlight=False, width=WIDTH)
talk = Console(stderr=True, highlight=False)


def emit(value: Any, output: Output, render: Callable[[], object]) -> None:
    """Print `value` as JSON or YAML, or what `render` gives for people."""
    if output is Output.json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif output is Output.yaml:
        plain = json.loads(json.dumps(value))  # an enum is its text
        sys.stdout.write(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    else:
        console.print(render())


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table: upper-case heads, no lines; only the last column may fold."""
    result = Table(box=boxes.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        result.add_column(column, overflow="fold", no_wrap=column != columns[-1])
    for row in rows:
        result.add_row(*map(printable, row))
    return result


def printable(text: str) -> str:
    """Words of others, without what a terminal would act on."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
