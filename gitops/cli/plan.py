"""`toweros plan`: what a revision would change, and why; it does nothing itself.

Without `-C` the question is what the next pass would do: the remote against what is deployed. With `-C` a clone
answers, with or without the controller's state: the working folder, or `--head`, against `--base`.
"""

import enum
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, emit
from gitops.cli.showing.words import warn
from gitops.errors import FleetError
from gitops.fleet import rule_warnings
from gitops.model import Fleet, Tree
from gitops.review.commands import told
from gitops.review.markdown import markdown, marker
from gitops.review.nouns import Summary
from gitops.review.sizes import Measured
from gitops.review.text import WIPES, render, wipe_lines
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.workflows.preview import Question, preview
from gitops.workflows.question import of_clone, of_remote

if TYPE_CHECKING:
    from gitops.store import Store
    from gitops.workflows.security.advisories import Advisories

CHANGES = 2
"""The exit code of `--detailed-exitcode` when there are changes."""


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
    store = context.existing_store(settings)
    with _question(settings, store, folder, base, head) as question:
        measured = _measured(question, store, settings) if build else None
        known = replace(question, keys=settings.keys)
        try:
            images = partial(_missing, settings, store)
            summary = preview(known, store, measured, _advisories(store, settings), images)
        except FleetError as error:
            warn(rule_warnings(known.head[1]))  # as `validate`: beside the mistakes, not after them
            raise _whole(known, error) from error
        _print(summary, output)
    if detailed and not summary.empty:
        raise typer.Exit(CHANGES)


def _whole(question: Question, refused: FleetError) -> FleetError:
    """Of a working folder, the same list as `toweros validate`; of a commit, what the controller would say."""
    tree = question.head[1]
    if not isinstance(tree, FolderTree):
        return refused
    from gitops.workflows.composing.judging import judged
    from gitops.workflows.composing.program import CACHE, kept

    return FleetError(judged(tree, lambda: kept(CACHE)).problems or refused.problems)


def _print(summary: Summary, output: PlanOutput) -> None:
    if output is PlanOutput.markdown:
        sys.stdout.write(markdown(summary, marker("plan")))
    else:
        emit(summary.as_json(), Output(output.value), lambda: _coloured(summary))


def _coloured(summary: Summary) -> Text:
    """What nothing brings back is red."""
    text = Text(render(summary))
    for words in (WIPES, *wipe_lines(summary)):
        text.highlight_words([words], "bold red")
    return text


def _measured(question: Question, store: "Store | None", settings: Settings) -> dict[str, Measured]:
    from gitops.workflows.making.trial import measure  # the builder takes long to load, and most plans need none

    return measure(question, store, settings)


def _missing(
    settings: Settings, store: "Store | None", fleet: Fleet, tree: Tree, _base: Fleet | None
) -> tuple[str, ...]:
    """Images that cannot be had: what a working folder or our own remote says is asked for. And those that are built,
    and lack a place for what is mounted into them."""
    sentences: tuple[str, ...] = ()
    if store:
        from gitops.workflows.making.placed import Placed  # with the assembler, it takes long to load

        sentences = told(Placed(tree, fleet, store).lacking(fleet.boxes.values()))
    if not any(box.images_of_others() for box in fleet.boxes.values()):
        return sentences
    from gitops.workflows.images.missing import missing  # HTTP takes long to load, and most fleet repos need none

    return (*sentences, *missing(fleet, tree, settings, store))


def _advisories(store: "Store | None", settings: Settings) -> "Advisories | None":
    if store is None or not settings.feeds:
        return None
    from gitops.workflows.security.advisories import Advisories

    return Advisories(store, settings.feeds)


def _question(
    settings: Settings, store: "Store | None", folder: Path | None, base: str | None, head: str | None
) -> AbstractContextManager[Question]:
    if folder is None and not settings.repository:
        folder = Path()
    if folder is None:
        return of_remote(settings, store, base, head)
    return nullcontext(of_clone(settings, store, folder, base, head))
