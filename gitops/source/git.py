"""The fleet repo: any remote, fetched into a bare clone, one accepted commit at a time.

In: where the remote is, and what was deployed last. Out: the `Revision` that may deploy next, and its files (`Tree`).

    source = GitSource(Access(url), state / "source", allowed_signers=path)
    revision = source.poll()              # asks the remote; SourceError when it is away or lies
    tree = source.tree(revision)
    source.mark_deployed(revision)        # from here on, only descendants are accepted

Rules: the policy (branch, signatures) is that of the last deployed commit; before there is one, the remote's HEAD says
which `fleet.yaml` to read. A remote that says nothing new costs one question for its refs. The last deployed commit
stays under refs/toweros/deployed whatever the remote does. A damaged clone is made again; a half fetch harms nothing.
"""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pygit2
import structlog
from pygit2.enums import SortMode

from gitops.errors import SourceError, TowerosError
from gitops.fleet import load_policy
from gitops.model import Policy, Revision
from gitops.source.remote import Access, Heads, download, list_heads, unreachable
from gitops.source.rules import KEPT, accept, must_sign
from gitops.source.signatures import signers
from gitops.source.trees import GitTree

log = structlog.get_logger(__name__)

DEPLOYED = "refs/toweros/deployed"
MAX_PACKS = 100
"""Every fetch leaves a pack, and libgit2 never joins them: above this the clone is made again."""
SUBJECT = 200
"""Characters of a commit's first line that are kept."""
DAMAGE = (pygit2.GitError, KeyError, ValueError, OSError)
"""What libgit2 raises when an object is missing, garbled or not what its name says."""


@dataclass(frozen=True)
class _Outcome:
    """What the last new commit came to, so that the next poll need not ask again."""

    question: tuple[str, str, int]
    revision: Revision | None = None
    refusal: TowerosError | None = None


def intact(file: Path) -> bool:
    """Whether a pack or its index ends with the SHA-1 of what is before (gitformat-pack).

    libgit2 maps both into memory and trusts them there: damage must be found before it looks.
    """
    digest, left = hashlib.sha1(usedforsecurity=False), file.stat().st_size - 20
    with file.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        return stream.read() == digest.digest()


class GitSource:
    """A fleet repo, followed. One per state folder; the store's lock keeps a second controller away."""

    def __init__(self, access: Access, folder: Path, *, allowed_signers: Path | None = None, epoch: int = 0) -> None:
        access.check()
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")
        self._access, self._folder, self._allowed, self._epoch = access, folder, allowed_signers, epoch
        self._repository = self._open()
        self._outcome: _Outcome | None = None
        self._damaged = False

    def poll(self) -> Revision:
        """Ask the remote, and fetch and judge what it has now.

        Raises:
            SourceError: the remote is away (`transient`) or empty, or its commit may not deploy.
            FleetError: its fleet.yaml has mistakes.
        """
        heads = list_heads(self._repository, self._access)
        try:
            if self._damaged or self._packs() > MAX_PACKS:
                self._rebuild()
            return self._follow(heads)
        except DAMAGE as error:
            heads = list_heads(self._repository, self._access)
            log.warning("source.damaged", error=str(error))
            self._rebuild()
        try:
            return self._follow(heads)
        except DAMAGE as error:
            raise unreachable(self._access, error) from error

    def deployed(self) -> Revision | None:
        """The last deployed revision, remembered outside of the clone."""
        document = self._document()
        return (
            Revision(**{**document["revision"], "signers": tuple(document["revision"]["signers"])})
            if document
            else None
        )

    def mark_deployed(self, revision: Revision) -> None:
        """Remember that boxes are offered this revision: nothing older and no other history is accepted from now on."""
        said = {"epoch": self._epoch, "revision": asdict(revision) | {"signers": list(revision.signers)}}
        if said.items() <= (self._document() or {}).items():
            return
        policy = load_policy(self.tree(revision))
        document = {"format": 1, "policy": {"branch": policy.branch, "sign": policy.sign}, **said}
        self._repository.references.create(DEPLOYED, pygit2.Oid(hex=revision.commit), force=True)
        new = self._folder / "deployed.new"
        with new.open("w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / "deployed.json")

    def tree(self, revision: Revision) -> GitTree:
        """The revision's files.

        Raises:
            SourceError: they break a bound, or the clone is damaged (the next poll makes it again).
        """
        try:
            return GitTree(self._repository, revision.commit, self._report_damage)
        except DAMAGE as error:
            self._report_damage()
            raise SourceError(
                f"{revision}: the clone is damaged", hint="it is fetched again at the next pass"
            ) from error

    # --- one question, one answer ---------------------------------------------------------------------------------

    def _follow(self, heads: Heads) -> Revision:
        last = self.deployed()
        policy = Policy(**document["policy"]) if (document := self._document()) else None
        branch = policy.branch if policy else heads.default
        commit = heads.branches.get(branch)
        if commit is None:
            missing = f"has no branch {branch!r}" if branch else "has no branch that its HEAD names"
            raise SourceError(f"the remote {missing}", hint=f"push it; {KEPT}")
        question = (branch, commit, self._stamp())
        if self._outcome is None or self._outcome.question != question:
            self._outcome = self._judge(question, heads, last, policy)
        if self._outcome.refusal:
            raise self._outcome.refusal
        assert self._outcome.revision
        return self._outcome.revision

    def _judge(
        self, question: tuple[str, str, int], heads: Heads, last: Revision | None, old: Policy | None
    ) -> _Outcome:
        branch, commit, _ = question
        try:
            self._fetch(branch, commit)
            revision = self._revision(branch, commit, last)
            new = self._load_policy(commit)
            if old is None and new.branch != branch and new.branch in heads.branches:
                branch, commit = new.branch, heads.branches[new.branch]
                self._fetch(branch, commit)
                revision, new = self._revision(branch, commit, last), self._load_policy(commit)
            self._accept(last, revision)
            if must_sign(old, new, first_signers=self._allowed is not None) and not (last and last.commit == commit):
                signed = signers(self._commit(commit), self._allowed)
                revision = Revision(**{**asdict(revision), "signers": signed})
            elif last and last.commit == commit:
                revision = Revision(**{**asdict(revision), "signers": last.signers})
        except TowerosError as refusal:
            if isinstance(refusal, SourceError) and refusal.transient:
                raise
            log.warning("source.refused", branch=branch, commit=commit, error=refusal.message)
            return _Outcome(question, refusal=refusal)
        log.info("source.accepted", revision=str(revision), sequence=revision.sequence, signers=revision.signers)
        return _Outcome(question, revision=revision)

    def _accept(self, last: Revision | None, new: Revision) -> None:
        document = self._document()
        raised = document is not None and self._epoch > document["epoch"]
        descends = last is None or self._descends(new.commit, last.commit)
        accept(last, new, descends=descends, raised=raised)

    def _stamp(self) -> int:
        """Changes when the list of allowed signers does: a refused commit then deserves another look."""
        return self._allowed.stat().st_mtime_ns if self._allowed and self._allowed.is_file() else 0

    # --- facts of the clone ---------------------------------------------------------------------------------------

    def _fetch(self, branch: str, commit: str) -> None:
        name = f"refs/remotes/origin/{branch}"
        known = self._repository.references.get(name)
        if known is None or str(known.target) != commit:
            download(self._repository, self._access, f"+refs/heads/{branch}:{name}")
        if self._repository.is_shallow:
            raise SourceError("the remote's history is cut off", hint=f"serve a full clone; {KEPT}")

    def _commit(self, commit: str) -> pygit2.Commit:
        return self._repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)

    def _revision(self, branch: str, commit: str, last: Revision | None) -> Revision:
        found = self._commit(commit)
        line = found.raw_message.partition(b"\n")[0].decode(errors="replace")[:SUBJECT]
        subject = "".join(letter if letter.isprintable() else "?" for letter in line)
        return Revision(branch, commit, self._count(commit, last) + self._epoch, found.commit_time, subject)

    def _count(self, commit: str, last: Revision | None) -> int:
        """Ancestors of a commit, itself included; counted on from the last deployed one where that is an ancestor."""
        document = self._document()
        walk = self._repository.walk(pygit2.Oid(hex=commit), SortMode.NONE)
        if last is None or document is None or not self._descends(commit, last.commit):
            return sum(1 for _ in walk)
        walk.hide(pygit2.Oid(hex=last.commit))
        return sum(1 for _ in walk) + last.sequence - int(document["epoch"])

    def _descends(self, commit: str, ancestor: str) -> bool:
        old, new = pygit2.Oid(hex=ancestor), pygit2.Oid(hex=commit)
        return old == new or (old in self._repository and self._repository.descendant_of(new, old))

    def _load_policy(self, commit: str) -> Policy:
        return load_policy(GitTree(self._repository, commit, self._report_damage))

    def _document(self) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self._folder / "deployed.json").read_text()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            hint = "restore it, or remove it to trust the remote's history anew"
            raise SourceError(f"{self._folder}/deployed.json is damaged", hint=hint) from error

    # --- the clone itself -----------------------------------------------------------------------------------------

    def _open(self) -> pygit2.Repository:
        """The clone, without what a killed controller left in it; a new one if there is none."""
        path = self._folder / "clone.git"
        for leftover in ("clone.new", "clone.old"):
            shutil.rmtree(self._folder / leftover, ignore_errors=True)
        for file in (*path.rglob("*.lock"), *path.glob("objects/pack/pack_*")):
            file.unlink()
        pygit2.settings.enable_fsync_gitdir(True)
        if all(intact(file) for file in path.glob("objects/pack/pack-*.*") if file.suffix in (".pack", ".idx")):
            with suppress(pygit2.GitError):
                return pygit2.Repository(str(path))
        if path.exists():
            log.warning("source.damaged", clone=str(path))
            shutil.rmtree(path, ignore_errors=True)
        return pygit2.init_repository(str(path), bare=True)

    def _packs(self) -> int:
        return sum(1 for _ in (self._folder / "clone.git" / "objects" / "pack").glob("*.pack"))

    def _report_damage(self) -> None:
        self._damaged = True

    def _rebuild(self) -> None:
        """Make an empty clone and take over what is sound of the last deployed commit; the rest is fetched again."""
        path, new, old = (self._folder / name for name in ("clone.git", "clone.new", "clone.old"))
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        fresh = pygit2.init_repository(str(new), bare=True)
        with suppress(*DAMAGE):
            download(fresh, Access(str(path)), f"+{DEPLOYED}:{DEPLOYED}")
        self._repository.free()
        if path.exists():
            path.rename(old)
        new.rename(path)
        shutil.rmtree(old, ignore_errors=True)
        self._repository, self._outcome, self._damaged = pygit2.Repository(str(path)), None, False
