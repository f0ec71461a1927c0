"""A newer TowerOS comes into a fleet repo: its `boot/` and `pkg/`, merged three ways into one commit.

In: a clean working clone; the folders of this installation, or of a release tag of its checkout. Out: a commit on the
branch that is checked out, or a cherry-pick that waits for somebody to resolve its conflicts. Rules:

- The base is what `.toweros/vendored.json` names: those trees are in the fleet repo's own history.
- Git merges, so conflicts look and end as its own do: `git cherry-pick --continue`, or `--abort` and nothing happened.
- A packages.lock is never merged line by line. One that only TowerOS changed is taken; one that both changed stays the
  fleet repo's while its packages.in does, and follows TowerOS's packages.in otherwise.

    done = upgrade(Path("fleet"))       # None: it has these folders already
    done.commit, done.conflicts
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pygit2

from gitops import __version__
from gitops.errors import ProcessError, SourceError, TowerosError
from gitops.model import Tree
from gitops.process import run
from gitops.source.clone.trees import GitTree, configure
from gitops.source.new_fleet import FORMAT, RECORD, VENDORED, editor_files, record
from gitops.source.objects.bounds import FILE
from gitops.source.objects.tree_objects import FOLDER
from gitops.source.rollback import SIGNING
from gitops.source.shipped import home

LOCK, WANTED = "packages.lock", "packages.in"


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did. `old` and `new` are versions of TowerOS, `before` and `commit` commits; `commit` is empty
    while `conflicts` stand. `changed`: what TowerOS itself changed; `kept`: locks that both changed, and that stay."""

    old: str
    new: str
    before: str
    commit: str
    changed: tuple[str, ...]
    conflicts: tuple[str, ...]
    kept: tuple[str, ...]


def upgrade(folder: Path, version: str = "", *, sign: bool = False) -> Upgraded | None:
    """Merge `boot/` and `pkg/` of a version (empty: of this installation); None when they are here already.

    Raises:
        TowerosError: something is not committed; the repo does not say or no longer has what it came with; there is no
            such version here. Nothing is changed then.
    """
    git = _Git(folder)
    if git("status", "--porcelain", "--untracked-files=no"):
        raise TowerosError(f"{folder} has changes that are not committed", hint="commit them, or `git stash`")
    new = _Vendor.of(version)
    old, trees = _recorded(git, folder)
    if trees == new.ids:
        return None
    before = git("rev-parse", "HEAD")
    commits = _Commits(git, folder, before)
    base = commits.make(trees, {}, f"TowerOS {old}\n", before)
    changed = commits.differences(trees, new)
    theirs = commits.make(commits.add(new), new.records(), _message(old, new.version, changed), base)
    commit, conflicts, kept = _Pick(git, folder).onto_head(theirs, sign)
    return Upgraded(old, new.version, before, commit, changed, conflicts, kept)


@dataclass(frozen=True)
class _Vendor:
    """The folders of one version of TowerOS."""

    version: str
    trees: Mapping[str, Tree]
    ids: Mapping[str, str]

    @classmethod
    def of(cls, version: str) -> "_Vendor":
        if version in ("", __version__):
            trees: dict[str, Tree] = {name: home.tree(name) for name in VENDORED}
            return cls(__version__, trees, {name: tree.tree_id("") for name, tree in trees.items()})
        tree = _tagged(version)
        return cls(version, dict.fromkeys(VENDORED, tree), {name: tree.tree_id(name) for name in VENDORED})

    def files(self, name: str) -> Iterator[tuple[str, int, bytes]]:
        """Path below the folder, mode and bytes of each file."""
        tree = self.trees[name]
        top = f"{name}/" if isinstance(tree, GitTree) else ""
        for path, entry in tree.entries().items():
            if path.startswith(top):
                yield path.removeprefix(top), entry.mode, tree.read(path)

    def records(self) -> Mapping[str, bytes]:
        """The files of `.toweros/`."""
        return {RECORD: record(self.version, self.ids), **editor_files()}


def _tagged(version: str) -> GitTree:
    """A release of TowerOS, out of the checkout that this command runs from."""
    hint = f"install TowerOS {version}, or run the `toweros` of a checkout that has the tag v{version}"
    try:
        configure()
        repository = pygit2.Repository(str(home.CHECKOUT))
        return GitTree(repository, str(repository.lookup_reference(f"refs/tags/v{version}").peel(pygit2.Commit).id))
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise TowerosError(f"this is TowerOS {__version__}, without a release {version}", hint=hint) from error


def _recorded(git: "_Git", folder: Path) -> tuple[str, dict[str, str]]:
    """Which version the fleet repo came with, and the ids of its folders."""
    place = f".toweros/{RECORD}"
    try:
        document = json.loads(git("show", f"HEAD:{place}"))
        if int(document["format"]) > FORMAT:
            message = f"{folder / place} has format {document['format']}: this version reads {FORMAT}"
            raise TowerosError(message, hint=f"a newer TowerOS wrote it ({document['version']}): upgrade with that")
        version, trees = str(document["version"]), {name: str(document["trees"][name]) for name in VENDORED}
        ids = {name: pygit2.Oid(hex=value) for name, value in trees.items()}
    except (ProcessError, ValueError, KeyError, TypeError) as error:
        hint = "restore it from the commit of `toweros init`: it names what boot/ and pkg/ came from"
        raise TowerosError(f"{folder / place} is missing or damaged", hint=hint) from error
    repository = pygit2.Repository(git.folder)
    for name, value in ids.items():
        if not isinstance(repository.get(value), pygit2.Tree):
            hint = "if this clone is shallow: `git fetch --unshallow`"
            raise TowerosError(f"the history has no {name}/ as TowerOS {version} had it", hint=hint)
    return version, trees


class _Commits:
    """Two commits that no branch has: the fleet repo with TowerOS's old folders, and with its new ones."""

    def __init__(self, git: "_Git", folder: Path, head: str) -> None:
        self._git = git
        self._repository = pygit2.Repository(str(folder))
        self._head = self._repository[pygit2.Oid(hex=head)].peel(pygit2.Tree)

    def add(self, vendor: _Vendor) -> dict[str, str]:
        """Write a version's folders into the object database."""
        return {name: self._tree(vendor.files(name)) for name in VENDORED}

    def make(self, trees: Mapping[str, str], records: Mapping[str, bytes], message: str, parent: str) -> str:
        top = self._repository.TreeBuilder(self._head)
        for name, value in trees.items():
            top.insert(name, pygit2.Oid(hex=value), pygit2.enums.FileMode(FOLDER))
        if records:
            inner = self._repository.TreeBuilder(self._head[".toweros"].peel(pygit2.Tree))
            for name, data in records.items():
                inner.insert(name, self._repository.create_blob(data), pygit2.enums.FileMode(FILE))
            top.insert(".toweros", inner.write(), pygit2.enums.FileMode(FOLDER))
        who = self._author()
        return str(self._repository.create_commit(None, who, who, message, top.write(), [pygit2.Oid(hex=parent)]))

    def differences(self, trees: Mapping[str, str], vendor: _Vendor) -> tuple[str, ...]:
        """What TowerOS itself changed: packages, and single files of boot/."""
        names: set[str] = set()
        for name, old in trees.items():
            new = self._repository[pygit2.Oid(hex=self._tree(vendor.files(name)))].peel(pygit2.Tree)
            for delta in self._repository[pygit2.Oid(hex=old)].peel(pygit2.Tree).diff_to_tree(new).deltas:
                path = f"{name}/{delta.new_file.path or delta.old_file.path}"
                names.add("/".join(path.split("/")[:2]) if name == "pkg" else path)
        return tuple(sorted(names))

    def _tree(self, files: Iterator[tuple[str, int, bytes]]) -> str:
        index = pygit2.Index()
        for path, mode, data in files:
            index.add(pygit2.IndexEntry(path, self._repository.create_blob(data), pygit2.enums.FileMode(mode)))
        return str(index.write_tree(self._repository))

    def _author(self) -> pygit2.Signature:
        """Whom Git would name, by all its rules."""
        name, _, rest = self._git("var", "GIT_AUTHOR_IDENT").rpartition(" <")
        email, _, when = rest.partition("> ")
        return pygit2.Signature(name, email, int(when.split()[0]), 0)


class _Pick:
    """One cherry-pick: Git merges, tells of conflicts, and can be asked to undo it."""

    def __init__(self, git: "_Git", folder: Path) -> None:
        self._git, self._folder = git, folder

    def onto_head(self, commit: str, sign: bool) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The new commit, or what is in conflict; and the locks that both sides changed and that stay."""
        signing = ["--gpg-sign"] if sign else []
        with tempfile.NamedTemporaryFile("w", suffix=".attributes") as attributes:
            attributes.write(f"{LOCK} -merge\n")
            attributes.flush()
            try:
                self._git("-c", f"core.attributesFile={attributes.name}", "cherry-pick", *signing, commit)
                return self._git("rev-parse", "HEAD"), (), ()
            except ProcessError as error:
                return self._resolve(signing, error)

    def _resolve(self, signing: list[str], error: ProcessError) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        open_ = self._conflicts()
        if not open_:  # a file that Git does not know is in the way, or a hook said no
            if self._git.has("CHERRY_PICK_HEAD"):
                self._git("cherry-pick", "--abort")
            raise TowerosError(f"Git cannot merge it: {error.message}", hint="nothing was changed") from error
        kept = tuple(path for path in open_ if path.endswith(f"/{LOCK}") and self._settle(path, open_))
        rest = self._conflicts()
        if rest:
            return "", rest, kept
        self._git("-c", "core.editor=true", "cherry-pick", *signing, "--continue")
        return self._git("rev-parse", "HEAD"), (), kept

    def _settle(self, lock: str, conflicts: tuple[str, ...]) -> bool:
        """Take the lock whose packages.in is there now; whether that is the fleet repo's own."""
        wanted = f"{lock.removesuffix(LOCK)}{WANTED}"
        if wanted in conflicts or not (self._folder / wanted).is_file():
            return False
        now = self._git("hash-object", "--no-filters", "--", wanted)
        for side, revision in (("--ours", "HEAD"), ("--theirs", "CHERRY_PICK_HEAD")):
            if all(self._git.has(f"{revision}:{path}") for path in (wanted, lock)) and now == self._git(
                "rev-parse", f"{revision}:{wanted}"
            ):
                self._git("checkout", side, "--", lock)
                self._git("add", "--", lock)
                return revision == "HEAD"
        return False

    def _conflicts(self) -> tuple[str, ...]:
        names = self._git("diff", "--name-only", "--diff-filter=U", "-z").split("\0")
        return tuple(name for name in names if name)


class _Git:
    """The user's own git, with their configuration and hooks, in one working clone."""

    def __init__(self, folder: Path) -> None:
        try:
            self.folder = folder
            self.folder = Path(self("rev-parse", "--show-toplevel"))
        except ProcessError as error:
            raise SourceError(f"{folder} is no clone of a fleet repo", hint="name one by -C") from error
        if self.folder != folder.resolve():
            raise SourceError(f"{folder} is inside of the repository {self.folder}", hint=f"use -C {self.folder}")

    def __call__(self, *words: str) -> str:
        passed = {name: value for name, value in os.environ.items() if name in SIGNING or name.startswith("GIT_")}
        return run(["git", "-C", self.folder, *words], env=passed).decode(errors="surrogateescape").strip()

    def has(self, revision: str) -> bool:
        try:
            self("rev-parse", "--verify", "--quiet", revision)
        except ProcessError:
            return False
        return True


def _message(old: str, new: str, changed: tuple[str, ...]) -> str:
    lines = "\n".join(f"- {name}" for name in changed) or "- nothing but its version"
    return f"Upgrade TowerOS {old} to {new}\n\nboot/ and pkg/ are merged three ways. TowerOS changed:\n\n{lines}\n"
