"""The clone that deploys: fetched into by need, swept of what a killed controller left, made again when it is damaged.

In: the remote, a folder. Out: the remote's heads; commits and tags that are here, whole and within bounds. Rules: only
what is named is fetched; the last deployed commit stays under refs/toweros/deployed whatever the remote does; a half
fetch harms nothing.

    clone = DeployingClone(Access(url), state / "source")
    commit = clone.fetch_branch("main", clone.heads())
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pygit2
import structlog

from gitops.errors import STAYS, Reason, SourceError
from gitops.source.clone.commits import DAMAGE, Clone
from gitops.source.clone.remote import Access, Heads, download, list_heads, packs, unreachable
from gitops.source.objects.malformed import malformed
from gitops.source.remotes import unfit
from gitops.source.remotes.packing import INCOMING

log = structlog.get_logger(__name__)

DEPLOYED = "refs/toweros/deployed"
MAX_PACKS = 100
"""Every fetch leaves a pack, and libgit2 never joins them: above this the clone is made again."""
MAX_OBJECT = 1 << 20
"""Bytes of a commit or tag object: reading a larger one would cost many times that in memory."""
MAX_NAME, MAX_PART = 1000, 240
"""Bytes of a ref's name, and of one part of it: refs are files."""
SPACE = 64 << 20
"""Bytes without which a clone is not made again: a half one must not replace what is left of the last good state."""


class DeployingClone(Clone):
    """A bare clone below `folder`."""

    def __init__(self, access: Access, folder: Path) -> None:
        access.check()
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")
        super().__init__(_open(folder))
        self._access, self._folder = access, folder
        self._damaged = False
        self._dead_ends = set[str]()
        """Tags' objects that lead to no commit."""

    def heads(self) -> Heads:
        """What the remote has now. Raises SourceError as `list_heads` does."""
        return list_heads(self.repository, self._access)

    def fetch_branch(self, branch: str, heads: Heads) -> str:
        """The commit of a branch, with its history.

        Raises:
            SourceError: the remote has no such branch, or a bound is passed.
        """
        commit = heads.commit(branch)
        self.fetch(f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", commit)
        # No `git push` lets a branch name anything else.
        if self.repository.odb.read_header(pygit2.Oid(hex=commit))[0] != pygit2.enums.ObjectType.COMMIT:
            hint = f"push a commit there; {STAYS}"
            raise SourceError(f"{branch}: {commit} is no commit", hint=hint, reason=Reason.bad_object)
        return commit

    def fetch_tag(self, name: str, heads: Heads) -> bytes:
        """The bytes of an annotated tag's object; what it names is here, too.

        Raises:
            SourceError: it is none, or a bound is passed.
        """
        self.fetch(f"refs/tags/{name}", f"refs/tags/{name}", heads.tags[name])
        try:
            tag = self.repository[pygit2.Oid(hex=heads.tags[name])]
        except (pygit2.GitError, ValueError) as error:
            raise SourceError(f"tag {name!r} is garbled: {error}", hint=STAYS, reason=Reason.bad_object) from error
        if isinstance(tag, pygit2.Commit):
            hint = f"make an annotated one: git tag -s {name}; {STAYS}"
            raise SourceError(f"tag {name!r} is a lightweight tag", hint=hint, reason=Reason.lightweight_tag)
        if not isinstance(tag, pygit2.Tag):
            hint = f"tag a commit; {STAYS}"
            raise SourceError(f"tag {name!r} names no commit", hint=hint, reason=Reason.tag_of_no_commit)
        return tag.read_raw()

    def fetch(self, ref: str, name: str, identity: str) -> None:
        """Have the object `identity`, which the remote calls `ref`, under our `name`."""
        if not _fits(name):
            hint = f"a part of it has at most {MAX_PART} letters; {STAYS}"
            raise SourceError(f"{_short(ref)[:80]}...: the name is too long", hint=hint, reason=Reason.bad_object)
        if not self._here(name, identity):
            self._download(ref, name, identity)
            self._drop_dead_ends(name)
        # Ancestors are counted: a history that is cut off would give a lower sequence.
        if self.repository.is_shallow:
            hint = f"serve a full clone; {STAYS}"
            raise SourceError("the remote's history is cut off", hint=hint, reason=Reason.shallow_history)
        # The header alone, so that a huge object is not loaded.
        size = self.repository.odb.read_header(pygit2.Oid(hex=identity))[1]
        if size > MAX_OBJECT:
            hint = f"at most {MAX_OBJECT >> 20} MiB; {STAYS}"
            raise SourceError(f"{ref} is an object of {size >> 20} MiB", hint=hint, reason=Reason.too_large)

    def _download(self, ref: str, name: str, identity: str) -> None:
        """Fetch a ref; one that the remote cannot even send is that ref's own trouble, or the remote's."""
        try:
            download(self.repository, self._access, f"+{ref}:{name}")
        except DAMAGE as error:
            place = self._access.place
            if place and (refusal := malformed(pygit2.Repository(str(place)), _short(ref), identity)):
                raise refusal from error
            if not self._sound():
                raise
            if not place and ref.startswith("refs/tags/"):
                self._again(ref, name)
            elif unfit.broke_off(str(error)):  # what is here is whole, so nothing is begun anew for that
                raise unreachable(self._access, error) from error
            else:
                raise

    def _again(self, ref: str, name: str) -> None:
        """Git's own server gives up a whole fetch for one tag that it cannot parse. Does the rest still come?"""
        try:
            download(self.repository, self._access, f"+{ref}:{name}")
        except DAMAGE as error:
            self.heads()
            hint = f"tag the commit again; {STAYS}"
            raise SourceError(
                f"{_short(ref)}: the remote cannot send it", hint=hint, reason=Reason.bad_object
            ) from error

    def _sound(self) -> bool:
        """Whether what is here of the clone is whole."""
        return all(_intact(file) for file in _packed(self._folder / "clone.git"))

    def fetch_tags(self, names: Sequence[str], heads: Heads) -> None:
        """Have several tags at once, if that goes well: whatever does not come is asked for by itself later."""
        refs = [f"refs/tags/{name}" for name in names if _fits(name)]
        missing = [ref for ref in refs if not self._here(ref, heads.tags[_short(ref)])]
        if len(missing) > 1:
            with suppress(*DAMAGE, SourceError):
                download(self.repository, self._access, *(f"+{ref}:{ref}" for ref in missing))
            self._drop_dead_ends(*missing)

    def _here(self, name: str, identity: str) -> bool:
        """Whether a fetch has brought an object already, with all that it leads to."""
        existing = self.repository.references.get(name)
        return (existing is not None and str(existing.target) == identity) or identity in self._dead_ends

    def _drop_dead_ends(self, *names: str) -> None:
        """A ref that leads to no commit stops every later fetch: libgit2 says to the remote what is here by them."""
        for name in names:
            existing = self.repository.references.get(name)
            if existing is None:
                continue
            try:
                existing.peel(pygit2.Commit)
            except DAMAGE:
                self._dead_ends.add(str(existing.target))
                existing.delete()

    @contextmanager
    def blaming(self, ref: str, identity: str) -> Iterator[None]:
        """What fails inside for an object that is whole, and malformed, is a refusal of that object."""
        try:
            yield
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            if refusal := malformed(self.repository, ref, identity):
                raise refusal from error
            raise

    def tag_id(self, name: str) -> str:
        """The object id of a tag that was fetched; empty: it was not."""
        tag = self.repository.references.get(f"refs/tags/{name}")
        return str(tag.target) if tag else ""

    def pin(self, commit: str) -> None:
        """Keep a commit, whatever the remote does."""
        existing = self.repository.references.get(DEPLOYED)
        if existing is None or str(existing.target) != commit:
            self.repository.references.create(DEPLOYED, pygit2.Oid(hex=commit), force=True)

    def report_damage(self) -> None:
        self._damaged = True

    @property
    def worn(self) -> bool:
        """It is damaged, or has become slow."""
        return self._damaged or packs(self._folder / "clone.git") > MAX_PACKS

    def rebuild(self) -> None:
        """Begin again with an empty clone that takes over what is sound of the last deployed commit.

        Raises:
            SourceError: there is no space for it (transient).
        """
        path, new, old = (self._folder / name for name in ("clone.git", "clone.new", "clone.old"))
        if shutil.disk_usage(self._folder).free < SPACE:
            hint = f"free {SPACE >> 20} MiB; what is there of the clone stays"
            raise SourceError(f"{self._folder}: no space to fetch the clone again", hint=hint, transient=True)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        fresh = pygit2.init_repository(str(new), bare=True)
        # A fetch indexes and checks every object: what is damaged does not come along.
        with suppress(*DAMAGE, SourceError):
            download(fresh, Access(str(path)), f"+{DEPLOYED}:{DEPLOYED}")
        # libgit2 keeps packs mapped.
        self.repository.free()
        if path.exists():
            path.rename(old)
        new.rename(path)
        shutil.rmtree(old, ignore_errors=True)
        self.repository, self._damaged = pygit2.Repository(str(path)), False
        self._dead_ends.clear()


def _open(folder: Path) -> pygit2.Repository:
    """The clone below `folder`; a new one if there is none, or it is damaged."""
    path = folder / "clone.git"
    if (folder / "clone.old").exists() and not path.exists():
        (folder / "clone.old").rename(path)  # the power went between the two renames of `rebuild`
    for leftover in ("clone.new", "clone.old"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    # A killed fetch leaves them: libgit2 would refuse to write a ref whose lock is there.
    packs_of = path / "objects/pack"
    grafts = path.glob("info/grafts")  # libgit2 would believe it about parents, and we write none
    for file in (*path.rglob("*.lock"), *packs_of.glob("pack_*"), *packs_of.glob("tmp_*"), *grafts):
        file.unlink()
    for scratch in path.glob(f"{INCOMING}*"):
        shutil.rmtree(scratch, ignore_errors=True)
    # Else a power cut can leave refs to objects that never reached the disk.
    pygit2.settings.enable_fsync_gitdir(True)
    if all(_intact(file) for file in _packed(path)):
        with suppress(pygit2.GitError):
            return pygit2.Repository(str(path))
    if path.exists():
        log.warning("source.damaged", clone=str(path))
        shutil.rmtree(path, ignore_errors=True)
    return pygit2.init_repository(str(path), bare=True)


def _fits(name: str) -> bool:
    """Whether a file system can hold a ref of this name, and a lock beside it."""
    return len(name.encode()) < MAX_NAME and all(len(part.encode()) <= MAX_PART for part in name.split("/"))


def _short(ref: str) -> str:
    """As people write it."""
    return ref.removeprefix("refs/tags/").removeprefix("refs/heads/")


def _packed(path: Path) -> Iterator[Path]:
    """Packs of a clone, and their indexes."""
    return (file for file in path.glob("objects/pack/pack-*.*") if file.suffix in (".pack", ".idx"))


def _intact(file: Path) -> bool:
    """Whether a pack or its index ends with the SHA-1 of what is before (gitformat-pack).

    libgit2 maps both into memory and trusts them there: damage must be found before it looks.
    """
    digest, left = hashlib.sha1(usedforsecurity=False), file.stat().st_size - 20
    with file.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        return stream.read() == digest.digest()
