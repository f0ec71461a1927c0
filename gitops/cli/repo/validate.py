"""`toweros validate [DIR]`: every mistake of a fleet repo in one run."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gitops.cli.context import ConfigOption, existing_store, settings
from gitops.cli.output import Output, OutputOption, emit, printable, talk
from gitops.cli.showing.words import warn
from gitops.errors import FleetError, Problem, TowerosError
from gitops.fleet import rule_warnings
from gitops.fleet.keys.nobody import nobody
from gitops.fleet.levels.addresses import addresses
from gitops.fleet.repo import FLEET, NO_FLEET
from gitops.model import Fleet, Tree
from gitops.review.commands import Commands
from gitops.review.mounts import Mounts
from gitops.source import FolderTree
from gitops.source.working_folder import NoFleetError, fleet_in
from gitops.workflows.composing.judging import judged

MAX_LINE = 200
"""Characters of a line that are shown."""


def register(app: typer.Typer) -> None:
    app.command()(validate)


def validate(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A working folder of the fleet repo.")] = Path(),
    images: Annotated[
        bool, typer.Option("--images", help="Ask registries, too: is each image there, ours, and signed?")
    ] = False,
    config: ConfigOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Say every mistake as file:line:column: what; the fix; and show the line. Uncommitted changes count."""
    problems: list[Problem] = []
    try:
        tree = fleet_in(folder, problems)
    except NoFleetError as error:
        words = Problem(FLEET, 1, 1, error.message, error.hint)
        if not any((folder / name).is_dir() for name in ("roles", "boxes")):
            emit([asdict(words) | {"text": ""}], output, lambda: Text(printable(_words(words))))
            raise typer.Exit(1) from error
        tree = FolderTree(folder, problems)
    try:
        found = judged(tree, _compose, problems)
        if not found.asked:
            talk.print("docker compose itself was not asked: no mirror has the pinned version now")
        if problems := [
            *found.problems,
            *_nobody(tree, found.fleet, config),
            *addresses(tree, found.fleet.boxes),
            *_crowded(tree, found.fleet),
            *Commands(tree, found.fleet, wrong={each.file for each in found.problems}).lacking(),
            *(_images(tree, found.fleet, config) if images else ()),
            *(_unplaced(tree, found.fleet, config) if images else ()),
        ]:
            raise FleetError(problems)
    except FleetError as error:
        warn(rule_warnings(tree))  # who mends the mistakes should not have to run it again for these
        _tell(tree, error, output)
        raise typer.Exit(1) from error
    warn(rule_warnings(tree))
    if output is not Output.table:
        emit([], output, str)
    talk.print(f"no mistakes: {len(found.fleet.boxes)} boxes, {len(found.fleet.packages)} packages")


def _nobody(tree: Tree, fleet: Fleet, config: Path | None) -> list[Problem]:
    """Signatures that are asked for, and nobody who could give one: the settings are looked at where keys/ is empty."""
    problem = nobody(tree, fleet.policy.sign, elsewhere=False)
    if problem is None:
        return []
    from gitops.source.trust.signatures import FirstKeys  # it takes long to load, and most fleet repos list somebody

    known = settings(config)
    proof = FirstKeys(known.allowed_signers, known.openpgp_keys).trust().prove()
    return [] if proof.able or proof.open else [problem]


def _images(tree: Tree, fleet: Fleet, config: Path | None) -> list[Problem]:
    """What registries say of images that no package makes."""
    from gitops.workflows.images.missing import mistakes  # HTTP takes long to load, and most are content without

    with suppress(FleetError):  # of fleet.yaml, told already
        return mistakes(fleet, tree, settings(config))
    return []


def _unplaced(tree: Tree, fleet: Fleet, config: Path | None) -> list[Problem]:
    """Images without a place for what is mounted into them, as far as the controller's state has them."""
    if (store := existing_store(settings(config))) is None:
        return []
    from gitops.workflows.making.placed import Placed

    return Placed(tree, fleet, store).lacking(fleet.boxes.values())


def _crowded(tree: Tree, fleet: Fleet) -> list[Problem]:
    """Mounts of more layers than a box can mount, as far as the packages tell."""
    mounts = Mounts(tree, fleet)
    return list(dict.fromkeys(problem for box in fleet.boxes.values() for problem in mounts.crowded(box)))


def _compose() -> Path | None:
    """The pinned compose; None when it cannot be had now."""
    from gitops.builders.places import Places  # they take long to load, and most fleet repos have no apps
    from gitops.workflows.composing.program import CACHE, fetched

    return fetched(CACHE, Places())


def _tell(tree: Tree, error: FleetError, output: Output) -> None:
    """Every mistake with its line; that there is no fleet repo at all, in the first words."""
    problems = sorted(error.problems, key=lambda problem: not problem.message.startswith(NO_FLEET))
    lines = _lines(tree, problems)
    rows = [asdict(problem) | {"text": line} for problem, line in zip(problems, lines, strict=True)]
    shown = (f"{_words(each)}\n{_show(each, line)}" for each, line in zip(problems, lines, strict=True))
    emit(rows, output, lambda: Text("".join(shown).rstrip("\n")))
    talk.print(f"{len(problems)} mistake{'s' * (len(problems) != 1)}")


def _words(problem: Problem) -> str:
    return f"{problem.message}; {problem.hint}" if problem.message.startswith(NO_FLEET) else str(problem)


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
