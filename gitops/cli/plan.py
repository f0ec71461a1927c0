"""`toweros plan`: what a revision would change, and why; it does nothing itself.

Without `-C` the question is what the next pass would do: the remote against what is deployed. With `-C` a clone
answers, with or without the controller's state: the working folder, or `--head`, against `--base`.
"""

import enum
import fcntl
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, emit
from gitops.errors import SourceError, TowerosError
from gitops.fleet import load_policy
from gitops.model import Revision, Tree
from gitops.review.markdown import markdown, marker
from gitops.review.nouns import Summary, Verdict
from gitops.review.sizes import Measured
from gitops.review.text import render
from gitops.settings import Settings
from gitops.source import Access, FolderTree, GitSource
from gitops.source.clone.commits import LocalClone
from gitops.source.trust.signatures import Trust
from gitops.workflows.preview import Point, Question, preview, verdict

if TYPE_CHECKING:
    from gitops.store import Store

CHANGES = 2
"""The exit code of `--detailed-exitcode` when there are changes."""
UNCOMMITTED = "0" * 40


class PlanOutput(enum.StrEnum):
    """The value of `-o`."""

    table = "table"
    json = "json"
    yaml = "yaml"
    markdown = "markdown"


def register(app: typer.Typer) -> None:
    app.command("plan")(show)


def show(
    folder: Annotated[Path | None, typer.Option("--dir", "-C", help="A clone instead of the remote.")] = None,
    base: Annotated[str | None, typer.Option(help="Compare with this revision, not with what is deployed.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Plan this revision, not the working folder or the remote's.")
    ] = None,
    build: Annotated[bool, typer.Option("--build", help="Build in a scratch area: exact sizes.")] = False,
    detailed: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")] = False,
    output: Annotated[PlanOutput, typer.Option("-o", "--output", help="How to print the plan.")] = PlanOutput.table,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say which packages, layers and boxes would change, and why."""
    settings = context.settings(config, state)
    store = context.store(config, state) if (settings.state / "toweros.db").is_file() else None
    with _question(settings, folder, base, head) as question:
        summary = preview(question, store, _measured(question, store, settings) if build else None)
        _print(summary, output)
    if detailed and not summary.empty:
        raise typer.Exit(CHANGES)


def _print(summary: Summary, output: PlanOutput) -> None:
    if output is PlanOutput.markdown:
        sys.stdout.write(markdown(summary, marker("plan")))
    else:
        emit(summary.as_json(), Output(output.value), lambda: Text(render(summary)))


def _measured(question: Question, store: "Store | None", settings: Settings) -> dict[str, Measured]:
    from gitops.workflows.trial import measure  # the builder takes long to load, and most plans need none

    return measure(question, store, settings)


@contextmanager
def _question(settings: Settings, folder: Path | None, base: str | None, head: str | None) -> Iterator[Question]:
    if folder is None and not settings.repository and Path("fleet.yaml").is_file():
        folder = Path()
    if folder is not None:
        yield _in_clone(settings, folder, base, head)
        return
    with _own_clone(settings.state) as place:
        access = Access.of(settings)
        first = {"allowed_signers": settings.allowed_signers, "openpgp_keys": settings.openpgp_keys}
        source = GitSource(access, place, **first, epoch=settings.epoch)
        try:
            revision = source.poll()
        except SourceError as error:  # what was refused is shown, and then why
            if refused := None if error.transient else _refused(settings, source, place, error):
                yield refused
            raise
        if base or head:
            yield _in_clone(settings, place / "clone.git", base, head or revision.commit)
            return
        accepted = Verdict("accepted", signers=revision.signers)
        yield Question(_deployed(source), (revision, source.tree(revision)), accepted, platform=settings.platform)


def _refused(settings: Settings, source: GitSource, place: Path, error: SourceError) -> Question | None:
    """What the remote has now would do, had it not been refused; None when it is not even here."""
    with suppress(TowerosError, OSError, ValueError, KeyError):
        known = place / "deployed.json"
        branch = json.loads(known.read_text())["policy"]["branch"] if known.is_file() else "main"
        clone = LocalClone(place / "clone.git")
        head = replace(clone.revision(f"refs/remotes/origin/{branch}"), ref=branch)
        judged = Verdict("refused", error.reason or type(error).__name__, error.message)
        return Question(_deployed(source), (head, clone.tree(head)), judged, platform=settings.platform)
    return None


def _deployed(source: GitSource) -> Point | None:
    """What is deployed now, if this clone has it."""
    last = source.deployed()
    if last is None:
        return None
    with suppress(SourceError):
        return last, source.tree(last)
    return None


def _in_clone(settings: Settings, folder: Path, base: str | None, head: str | None) -> Question:
    if base is None and head is None and not (folder / ".git").exists():
        here = Revision(str(folder), UNCOMMITTED, 0, 0)
        return Question(None, (here, FolderTree(folder)), platform=settings.platform)
    clone = LocalClone(folder)
    revision = clone.revision(head) if head else Revision(str(folder), UNCOMMITTED, 0, 0)
    tree: Tree = clone.tree(revision) if head else FolderTree(folder)
    before = clone.revision(base) if base else _base(settings, clone, revision, tree)
    point = (before, clone.tree(before)) if before else None
    named = base is not None or not _is_deployed(settings, before)
    first = Trust.of_files(settings.allowed_signers, settings.openpgp_keys)
    judged = verdict(clone, revision, before, first) if head else Verdict()
    return Question(point, (revision, tree), judged, named=named, platform=settings.platform)


def _base(settings: Settings, clone: LocalClone, head: Revision, tree: Tree) -> Revision | None:
    """What is deployed; else where the head left the branch that deploys; for a working folder, its last commit."""
    last = _last(settings)
    if last and clone.has(last):
        return clone.revision(last)
    if head.commit == UNCOMMITTED:
        with suppress(SourceError):
            return clone.revision("HEAD")
        return None
    with suppress(TowerosError):
        return clone.fork_point(head, load_policy(tree).branch)
    return None


def _is_deployed(settings: Settings, revision: Revision | None) -> bool:
    return revision is not None and revision.commit == _last(settings)


def _last(settings: Settings) -> str:
    """The commit that the controller deployed last; empty without its state."""
    try:
        document = json.loads((settings.state / "source" / "deployed.json").read_text())
        return str(document["revision"]["commit"])
    except (OSError, ValueError, KeyError):
        return ""


@contextmanager
def _own_clone(state: Path) -> Iterator[Path]:
    """A clone of our own, with what the controller deployed last: `toweros run` may be at work in its clone."""
    folder, deployed = state / "plan", state / "source" / "deployed.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (folder / deployed.name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(deployed, folder / deployed.name)
        yield folder
