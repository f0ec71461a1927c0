"""A plan carried out in a scratch area, so that its numbers are exact; nothing of it stays, and nothing is published.

In: what is compared (`preview.Question`), the store where there is one. Out: per changed box its next release,
measured. Rules: what the store has is used, read-only (linked, its database copied, its builder's images lent); what it
lacks is built and assembled by the same code as ever, in a temporary folder that is gone afterwards. Where a box has no
published release, that of the base is made too. Keys are never touched: sizes are those of unsigned boot files.

    measured = measure(question, store, settings)      # {"demo-1": Measured(...)}
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from gitops.builders import Bases, BuildahBuilder, Builder
from gitops.builders.bases.fetch import MissingBaseError
from gitops.builders.inputs import MissingInputsError
from gitops.builders.places import Places
from gitops.errors import BuildError
from gitops.fleet import load_fleet
from gitops.model import Existing, Release
from gitops.plan import plan
from gitops.publish.transfers import compress, make_delta, pairs
from gitops.review.sizes import Measured
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.files.layout import Layout, Scratch
from gitops.workflows.preview import Point, Question, changes
from gitops.workflows.workshop import Workshop

log = structlog.get_logger(__name__)


def measure(
    question: Question, store: Store | None, settings: Settings, folder: Path | None = None
) -> dict[str, Measured]:
    """Build and assemble what the head changes. `folder`, on the store's file system, takes the scratch area.

    Raises:
        BuildError, RegistryError, AssembleError: the head does not build, or makes no release.
    """
    todo = [step.subject for step in changes(question, store).boxes]
    if not todo:
        return {}
    with scratch(store, settings, folder) as (trial, builder):
        head = _workshop(settings, trial, builder, question.head)
        base = _workshop(settings, trial, builder, question.base) if question.base else None
        measured = {}
        for name in todo:
            made = head.assemble(name)
            published = None if question.named else trial.offers.published(name)
            before = published.release if published else _release(base, name)
            boot = len(made.release.encode()) + len(made.addon)
            measured[name] = Measured(made.release, before, len(made.uki), boot, _wire(trial, before, made.release))
        return measured


@contextmanager
def scratch(store: Store | None, settings: Settings, folder: Path | None = None) -> Iterator[tuple[Store, Builder]]:
    """A store of its own that has whatever `store` has, and a builder for it, which finds the rest as settings say."""
    with tempfile.TemporaryDirectory(prefix=Scratch.plan, dir=folder or (store.paths.root if store else None)) as made:
        root = Path(made)
        if store is not None:
            _lend(store, root)
        trial = Store.open(root)
        try:
            if store is not None:
                store.lend_rows(trial)
            lender = store.paths.root if store else None
            places, bases = Places.by(settings), Bases(settings, trial)
            yield trial, BuildahBuilder(trial, lender, places, bases, settings.rootfs_still)
        finally:
            trial.close()


def _lend(store: Store, root: Path) -> None:
    """Links to every file, which a rename over them leaves as they are."""
    lent, trial = Layout(store.paths.root.resolve()), Layout(root)
    for there, here in ((lent.blobs, trial.blobs), (lent.layers, trial.layers)):
        here.mkdir(parents=True)
        for path in there.glob("[!.]*"):
            if path.is_file():
                os.link(path, here / path.name)


def _workshop(settings: Settings, trial: Store, builder: Builder, point: Point) -> Workshop:
    """Where the releases of one side of a question are made: whatever it lacks is built first."""
    revision, tree = point
    fleet = load_fleet(tree, settings.platform)
    workshop = Workshop(settings, trial, builder, point, fleet)
    for step in plan(fleet, revision, Existing(trial.existing().images)).builds:
        log.info("trial.build", package=step.subject)
        try:
            workshop.build(step.subject)
        except (MissingInputsError, MissingBaseError):
            raise
        except BuildError as error:  # the log that it names is gone with the scratch area
            raise BuildError(error.message, hint="`toweros build` keeps the whole log") from error
    workshop.pull()
    return workshop


def _release(workshop: Workshop | None, box: str) -> Release | None:
    """What a box would run on that side; None where it has no such box."""
    return workshop.assemble(box).release if workshop and box in workshop.fleet.boxes else None


def _wire(trial: Store, before: Release | None, after: Release) -> dict[str, int]:
    """Bytes of each layer that a box lacks, in the smallest form that the server would offer."""
    old = {layer.root for layer in before.layers()} if before else set()
    sizes = {}
    for layer in after.layers():
        if layer.root not in old:
            compress(trial.layers, layer.root)
            sizes[layer.root] = min(layer.size, trial.layers.zst(layer.root).stat().st_size)
    for was, now in pairs(before, after) if before else ():
        make_delta(trial.layers, was, now)
        if trial.layers.delta(was, now).is_file():
            sizes[now] = min(sizes.get(now, 1 << 62), trial.layers.delta(was, now).stat().st_size)
    return sizes
