"""A clone on this machine: facts of its commits, and revisions as `git rev-parse` finds them. Nothing is checked out.

In: a repository; commit ids, or names as people write them (a branch, a tag, `HEAD~1`). Out: the `Revision` and its
`Tree`. Rules: nothing is fetched, written or run; the machine's configuration of Git is not read.

    clone = LocalClone(Path("."))
    head = clone.revision("feature")
    base = clone.fork_point(head, "main")      # where the two parted
"""

import re
from contextlib import suppress
from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from gitops.errors import SourceError
from gitops.model import Revision
from gitops.source.clone.found import around
from gitops.source.clone.trees import GitTree, configure

DAMAGE = (pygit2.GitError, KeyError, ValueError, OSError)
"""What libgit2 raises when an object is missing, garbled or not what its name says."""
REMOTE = "refs/remotes/origin/"
KINDS = ("refs/tags/", "refs/heads/", "refs/remotes/")
"""Where a short name may be, in Git's order."""
BEGINNING = re.compile("[0-9a-f]{7,39}")
"""Of a commit's id, as people write it. A whole one goes before any ref."""
SUBJECT = 200
"""Characters of a commit's first line that are shown."""


class Clone:
    """The commits of a repository. All but `has` raise one of `DAMAGE` for a commit that is not here."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self.repository = repository

    def has(self, commit: str) -> bool:
        """Whether the object is here."""
        return pygit2.Oid(hex=commit) in self.repository

    def raw(self, commit: str) -> bytes:
        """The commit object's bytes."""
        return self._commit(commit).read_raw()

    def parents(self, commit: str) -> list[str]:
        """Ids of the parents, the first one first."""
        return [str(parent) for parent in self._commit(commit).parent_ids]

    def descends(self, commit: str, ancestor: str) -> bool:
        """`ancestor` is in the history of `commit`, or is it."""
        old, new = pygit2.Oid(hex=ancestor), pygit2.Oid(hex=commit)
        # For libgit2 a commit does not descend from itself, and a missing one is an error.
        return old == new or (old in self.repository and self.repository.descendant_of(new, old))

    def related(self, commit: str, other: str) -> bool:
        """The two share an ancestor, or nobody can tell because `other` is not here."""
        old, new = pygit2.Oid(hex=other), pygit2.Oid(hex=commit)
        return old not in self.repository or self.repository.merge_base(new, old) is not None

    def count(self, commit: str, since: str = "") -> int:
        """Ancestors of a commit, itself included, but for those of `since`."""
        walk = self.repository.walk(pygit2.Oid(hex=commit), SortMode.NONE)
        if since:
            walk.hide(pygit2.Oid(hex=since))
        return sum(1 for _ in walk)

    def since(self, commit: str, other: str) -> set[str]:
        """The ancestors of a commit, itself included, that `other` has not."""
        walk = self.repository.walk(pygit2.Oid(hex=commit), SortMode.NONE)
        walk.hide(pygit2.Oid(hex=other))
        return {str(each.id) for each in walk}

    def describe(self, ref: str, commit: str, sequence: int) -> Revision:
        """A commit as a revision of `ref`."""
        each = self._commit(commit)
        line = each.raw_message.partition(b"\n")[0].decode(errors="replace")[:SUBJECT]
        subject = "".join(letter if letter.isprintable() else "?" for letter in line)  # it must not steer a terminal
        return Revision(ref, commit, sequence, each.commit_time, subject)

    def files(self, commit: str) -> GitTree:
        """The files of a commit.

        Raises:
            SourceError: they break a bound.
        """
        return GitTree(self.repository, commit, self.report_damage)

    def report_damage(self) -> None:
        """An object turned out to be unreadable."""

    def _commit(self, commit: str) -> pygit2.Commit:
        return self.repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)


class LocalClone(Clone):
    """The clone around `folder`, read by the names that people use."""

    def __init__(self, folder: Path) -> None:
        configure()
        repository = around(folder)
        if repository is None:
            raise SourceError(f"{folder} is no Git clone", hint="name a clone of the fleet repo with -C")
        super().__init__(repository)

    def revision(self, name: str) -> Revision:
        """The commit that a name means here; of a branch that is only on the remote, the remote's.

        Raises:
            SourceError: it means none, or several.
        """
        self._check_one(name)
        commit = self._named(name, f"{REMOTE}{name}")
        if commit is None:
            raise SourceError(f"there is no commit `{name}` in this clone", hint="fetch it, or name another revision")
        return self._describe(name, commit)

    def tree(self, revision: Revision) -> GitTree:
        """The revision's files.

        Raises:
            SourceError: they break a bound, or the clone is damaged.
        """
        try:
            return self.files(revision.commit)
        except DAMAGE as error:
            raise SourceError(f"{revision}: the clone is damaged", hint="clone it again") from error

    def fork_point(self, head: Revision, branch: str) -> Revision | None:
        """Where `head` left `branch`; on the branch itself, the commit before. None when there is no such commit.

        Raises:
            SourceError: the clone is shallow, and what it has does not say: its last commit would pass for all of it.
        """
        for name in (f"{REMOTE}{branch}", f"refs/heads/{branch}"):  # a tag may have the short name of either
            tip = self._named(name)
            base = self.repository.merge_base(pygit2.Oid(hex=head.commit), pygit2.Oid(hex=tip)) if tip else None
            if base is not None and str(base) != head.commit:
                return self._describe(branch, str(base))
        if self.repository.is_shallow:
            message = f"this clone is shallow: where {head.ref} left {branch} is not in it"
            raise SourceError(message, hint="complete it: `git fetch --unshallow`; or name a base that it has")
        parents = self.parents(head.commit)
        return self._describe(branch, parents[0]) if parents else None

    def _check_one(self, name: str) -> None:
        """Of a tag and a branch of one name, Git takes the tag, and says so on its stderr, and before the beginning of
        a commit it takes either: whoever may push would decide what a name means here (gitrevisions(7))."""
        short = re.split(r"[~^:]|@\{", name)[0]
        found = {kind + short: commit for kind in KINDS if (commit := self._named(kind + short))}
        if found and BEGINNING.fullmatch(short):
            with suppress(*DAMAGE):
                found[f"the commit {short}"] = str(self.repository[short].peel(pygit2.Commit).id)
        if len({*found.values()}) > 1:
            raise SourceError(f"`{short}` is {' and '.join(found)} in this clone", hint="name one of them in full")

    def _named(self, *names: str) -> str | None:
        """The commit of the first of these names that means one."""
        for name in names:
            try:
                return str(self.repository.revparse_single(name).peel(pygit2.Commit).id)
            except DAMAGE:
                continue
        return None

    def _describe(self, name: str, commit: str) -> Revision:
        return self.describe(name, commit, self.count(commit))
