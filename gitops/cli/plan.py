"""`toweros plan`: what the next pass would do, and why; it does nothing itself."""

import fcntl
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit
from gitops.fleet import load_fleet
from gitops.model import Fleet, Plan, Revision, Step
from gitops.plan import ASSEMBLER, plan
from gitops.settings import Settings
from gitops.source import Access, FolderTree, GitSource
from gitops.store import Store

CHANGES = 2
"""The exit code of `--detailed-exitcode` when there are changes."""
SHOWN = 4
"""Names on one line when boxes change alike."""
SIGNS = {"build": "+", "create": "+", "update": "~", "remove": "-"}


def register(app: typer.Typer) -> None:
    app.command("plan")(show)


def show(
    folder: Annotated[Path | None, typer.Option("--dir", "-C", help="A working folder instead of the remote.")] = None,
    detailed: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")] = False,
    output: OutputOption = Output.table,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say which packages, layers and boxes would change, and why."""
    settings = context.settings(config, state)
    fleet, revision = _read(settings, folder)
    changes = plan(fleet, revision, Store.open(settings.state).existing())
    emit(as_json(changes), output, lambda: Text(render(changes)))
    if detailed and not changes.empty:
        raise typer.Exit(CHANGES)


def _read(settings: Settings, folder: Path | None) -> tuple[Fleet, Revision]:
    if folder is not None:
        return load_fleet(FolderTree(folder), settings.platform), Revision(str(folder), "0" * 40, 0, 0)
    with _clone(settings.state) as clone:
        access = Access(settings.repository, settings.ssh_key, settings.ssh_known_hosts)
        source = GitSource(access, clone, allowed_signers=settings.allowed_signers, epoch=settings.epoch)
        revision = source.poll()
        return load_fleet(source.tree(revision), settings.platform), revision


@contextmanager
def _clone(state: Path) -> Iterator[Path]:
    """A clone of our own, with what the controller deployed last: `toweros run` may be at work in its clone."""
    folder, deployed = state / "plan", state / "source" / "deployed.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (folder / deployed.name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(deployed, folder / deployed.name)
        yield folder


def as_json(changes: Plan) -> dict[str, object]:
    """The plan as `-o json` prints it."""
    lists = {"builds": changes.builds, "boxes": changes.boxes, "removed": changes.removed}
    steps = {name: [asdict(step) for step in found] for name, found in lists.items()}
    return {"revision": str(changes.revision), "empty": changes.empty, "layers": layers(changes), **steps}


def render(changes: Plan) -> str:
    """The plan as a terminal shows it."""
    if changes.empty:
        return "No changes."
    sections = [_section("Packages", _lines(changes.builds)), _section("Boxes", _alike(changes.boxes))]
    sections.append(_section("Removed", _alike(changes.removed)))
    return "\n\n".join([*filter(None, sections), summary(changes)])


def summary(changes: Plan) -> str:
    """`Plan: 2 packages to build, 1 layer to assemble, 14 boxes to update, 0 to remove.`"""
    parts = [f"{_count(len(changes.builds), 'package')} to build", f"{_count(layers(changes), 'layer')} to assemble"]
    created = sum(step.action == "create" for step in changes.boxes)
    parts += [f"{_count(created, 'box', 'es')} to create"] if created else []
    parts.append(f"{_count(len(changes.boxes) - created, 'box', 'es')} to update")
    return f"Plan: {', '.join(parts)}, {len(changes.removed)} to remove."


def layers(changes: Plan) -> int:
    """Layers that packages to be built add on boxes: one each, none for the assembler's own packages."""
    return sum(step.subject not in ASSEMBLER for step in changes.builds)


def _alike(steps: Sequence[Step]) -> list[str]:
    """Boxes that change for the same reason are one line."""
    merged = []
    for (action, reason), group in groupby(sorted(steps, key=_likeness), key=_likeness):
        names = [step.subject for step in group]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        counted = f"{len(names)} boxes: " if len(names) > 1 else ""
        merged.append(Step(f"{counted}{', '.join(names[:SHOWN])}{more}", action, reason))
    return _lines(merged)


def _likeness(step: Step) -> tuple[str, str]:
    return step.action, step.reason


def _lines(steps: Iterable[Step]) -> list[str]:
    return [f"  {SIGNS[step.action]} {step.subject}: {step.reason}" for step in steps]


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"{title}:", *lines]) if lines else ""


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
