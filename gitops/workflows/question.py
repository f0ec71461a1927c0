"""What is compared: the question behind `toweros plan`, out of the remote or of a clone.

In: the settings, the controller's store if there is one, a base and a head by name (or none). Out: a `Question` for
`preview`. Rules: the remote is fetched into a clone of our own, beside the controller's; a refused commit is a question
too, and then the refusal is raised.

    with of_remote(settings, store, None, None) as question:
        summary = preview(question, store)
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitops.errors import SourceError, StoreError, TowerosError
from gitops.fleet import load_fleet, load_policy
from gitops.model import Fleet, Revision, Tree
from gitops.review.nouns import Ruling, Verdict
from gitops.settings import Settings
from gitops.source import GitSource
from gitops.source.clone.commits import LocalClone
from gitops.source.trust.deployed import Deployed, Remembered
from gitops.source.trust.signatures import Trust
from gitops.source.working_folder import fleet_in
from gitops.workflows.preview import Point, Question, verdict

if TYPE_CHECKING:
    from gitops.store import Store

UNCOMMITTED = "0" * 40


@contextmanager
def of_remote(settings: Settings, store: "Store | None", base: str | None, head: str | None) -> Iterator[Question]:
    """What the next pass would do; or one revision of the remote against another.

    Raises:
        SourceError: the remote is away; or it is refused, which is raised when the question was looked at.
    """
    last = _last(store)
    with _own_clone(settings.state) as place:
        source = GitSource.of(settings, place, Remembered(last))
        try:
            revision = source.poll()
        except SourceError as error:  # what was refused is shown, and then why
            if refused := None if error.transient else _refused(settings, source, last, place, error):
                yield refused
            raise
        if base or head:
            yield of_clone(settings, store, place / "clone.git", base, head or revision.commit)
            return
        accepted = Verdict(Ruling.ACCEPTED, signers=revision.signers)
        yield Question(_deployed(source), (revision, source.tree(revision)), accepted, platform=settings.platform)


def _refused(
    settings: Settings, source: GitSource, last: Deployed | None, place: Path, error: SourceError
) -> Question | None:
    """What the remote has now would do, had it not been refused; None when it is not even here."""
    with suppress(TowerosError, OSError, ValueError, KeyError):
        branch = last.policy.branch if last else "main"
        clone = LocalClone(place / "clone.git")
        head = replace(clone.revision(f"refs/remotes/origin/{branch}"), ref=branch)
        judged = Verdict(Ruling.REFUSED, error.reason or type(error).__name__, error.message)
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


def of_clone(settings: Settings, store: "Store | None", folder: Path, base: str | None, head: str | None) -> Question:
    """The working folder, or a named head, against a named base or what is deployed."""
    if base is None and head is None and not (folder / ".git").exists():
        here = Revision(str(folder), UNCOMMITTED, 0, 0)
        return Question(None, (here, fleet_in(folder)), platform=settings.platform)
    clone = LocalClone(folder)
    revision = clone.revision(head) if head else Revision(str(folder), UNCOMMITTED, 0, 0)
    tree: Tree = clone.tree(revision) if head else fleet_in(folder)
    deployed = _commit(store)
    before = clone.revision(base) if base else _base(deployed, clone, revision, tree)
    point = (before, clone.tree(before)) if before else None
    named = base is not None or before is None or before.commit != deployed
    first = Trust.of_files(settings.allowed_signers, settings.openpgp_keys)
    judged = verdict(clone, revision, before, first) if head else Verdict()
    return Question(point, (revision, tree), judged, named=named, platform=settings.platform)


def _base(deployed: str, clone: LocalClone, head: Revision, tree: Tree) -> Revision | None:
    """What is deployed; else where the head left the branch that deploys; for a working folder, its last commit."""
    if deployed and clone.has(deployed):
        return clone.revision(deployed)
    if head.commit == UNCOMMITTED:
        with suppress(SourceError):
            return clone.revision("HEAD")
        return None
    try:
        branch = load_policy(tree).branch
    except TowerosError:
        return None
    return clone.fork_point(head, branch)


def _last(store: "Store | None") -> Deployed | None:
    """What the controller deployed last. Raises TowerosError when that is damaged."""
    if store is None:
        return None
    from gitops.source.memory import StoredMemory  # the store takes long to load, and a clone has none

    return StoredMemory(store).last()


def deployed_point(store: "Store") -> Point | None:
    """What is deployed, and its files out of the controller's clone. Raises SourceError when one of them is damaged."""
    last = _last(store)
    return (last.revision, LocalClone(store.paths.source / "clone.git").tree(last.revision)) if last else None


def fleet_of(store: "Store", folder: Path | None, platform: str) -> Fleet:
    """The fleet in a working folder, or what is deployed.

    Raises:
        StoreError: nothing is deployed. FleetError: it has mistakes.
    """
    if folder is not None:
        return load_fleet(fleet_in(folder), platform)
    point = deployed_point(store)
    if point is None:
        raise StoreError("nothing is deployed yet", hint="name a working folder with --dir, or run `toweros apply`")
    return load_fleet(point[1], platform)


def _commit(store: "Store | None") -> str:
    """The commit that the controller deployed last; empty without its state."""
    with suppress(TowerosError):
        last = _last(store)
        return last.revision.commit if last else ""
    return ""


@contextmanager
def _own_clone(state: Path) -> Iterator[Path]:
    """A clone of our own: `toweros run` may be at work in its clone. Where there is no state, none is made."""
    from gitops.store.files.layout import Layout  # takes long to load, and a clone has no state

    if not state.is_dir():
        with tempfile.TemporaryDirectory(prefix="toweros-plan-") as name:
            yield Path(name)
        return
    folder = Layout(state).plan
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
