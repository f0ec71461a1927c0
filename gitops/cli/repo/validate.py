"""`toweros validate [DIR]`: every mistake of a fleet repo in one run."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gitops.cli.output import Output, OutputOption, emit, talk
from gitops.errors import FleetError, Problem, TowerosError
from gitops.fleet import key_mistakes, load_fleet, rule_warnings
from gitops.model import Fleet, Tree
from gitops.review.mounts import Mounts
from gitops.source import FolderTree

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toweros" / "compose"
"""Keeps the pinned compose between runs."""
MAX_LINE = 200
"""Characters of a line that are shown."""


def register(app: typer.Typer) -> None:
    app.command()(validate)


def validate(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A working folder of the fleet repo.")] = Path(),
    output: OutputOption = Output.table,
) -> None:
    """Say every mistake as file:line:column: what; the fix; and show the line. Uncommitted changes count."""
    tree = FolderTree(folder)
    try:
        fleet = load_fleet(tree)
        if problems := key_mistakes(tree):
            raise FleetError(problems)
        if problems := _crowded(tree, fleet):
            raise FleetError(problems)
        asked = _ask_compose(tree, fleet)
    except FleetError as error:
        lines = _lines(tree, error.problems)
        rows = [asdict(problem) | {"text": line} for problem, line in zip(error.problems, lines, strict=True)]
        shown = (f"{each}\n{_show(each, line)}" for each, line in zip(error.problems, lines, strict=True))
        emit(rows, output, lambda: Text("".join(shown).rstrip("\n")))
        count = len(error.problems)
        talk.print(f"{count} mistake{'s' * (count != 1)}")
        raise typer.Exit(1) from error
    for warning in rule_warnings(tree):
        talk.print(f"warning: {warning}", markup=False)
    if output is not Output.table:
        emit([], output, str)
    if not asked:
        talk.print("docker compose itself was not asked: no mirror has the pinned version now")
    talk.print(f"no mistakes: {len(fleet.boxes)} boxes, {len(fleet.packages)} packages")


def _crowded(tree: Tree, fleet: Fleet) -> list[Problem]:
    """Mounts of more layers than a box can mount, as far as the packages tell."""
    mounts = Mounts(tree, fleet)
    return list(dict.fromkeys(problem for box in fleet.boxes.values() for problem in mounts.crowded(box)))


def _ask_compose(tree: Tree, fleet: Fleet) -> bool:
    """What Docker compose itself says of the apps. False: the program cannot be had now. Raises `FleetError`."""
    if not any(box.apps for box in fleet.boxes.values()):
        return True
    from gitops.builders.places import Places  # they take long to load, and most fleet repos have no apps
    from gitops.workflows.composing.complaints import check
    from gitops.workflows.composing.program import fetched

    program = fetched(CACHE, Places())
    if program:
        check(program, tree, fleet)
    return program is not None


def _lines(tree: Tree, problems: Sequence[Problem]) -> list[str]:
    """The line that each mistake is in, fit to be printed; empty when there is none."""
    texts: dict[str, list[bytes]] = {}
    for file in {problem.file for problem in problems}:
        with suppress(TowerosError, KeyError):
            texts[file] = tree.read(file).splitlines()
    return [_printable(texts.get(each.file, [])[each.line - 1 : each.line]) for each in problems]


def _printable(line: Sequence[bytes]) -> str:
    text = b"".join(line)[: 4 * MAX_LINE].decode(errors="replace")[:MAX_LINE]
    return "".join(letter if letter.isprintable() else " " if letter == "\t" else "?" for letter in text)


def _show(problem: Problem, line: str) -> str:
    """The line with a mark below the column; nothing where a mark would mean nothing."""
    if not line or not problem.column or problem.column > len(line):
        return ""
    head = f"{problem.line:>6} | "
    return f"{head}{line}\n{' ' * (len(head) - 2)}| {' ' * (problem.column - 1)}^\n"
