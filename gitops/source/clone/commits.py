"""A clone on this machine, read by revision, as `git rev-parse` finds it. Nothing is checked out.

In: a working clone or a bare one, and revisions as people name them (a branch, a tag, `HEAD~1`, a commit id). Out: the
`Revision` and its `Tree`. Rules: nothing is fetched, written or run; the machine's configuration of Git is not read.

    clone = LocalClone(Path("."))
    head = clone.revision("feature")
    base = clone.fork_point(head, "main")      # where the two parted
"""

from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from gitops.errors import SourceError
from gitops.model import Revision
from gitops.source.clone.trees import GitTree, configure

DAMAGE = (pygit2.GitError, KeyError, ValueError)
SUBJECT = 200
"""Characters of a commit's first line that are kept."""


class LocalClone:
    """The commits of a clone around `folder`."""

    def __init__(self, folder: Path) -> None:
        configure()
        found = pygit2.discover_repository(str(folder))
        if not found:
            raise SourceError(f"{folder} is no Git clone", hint="name a clone of the fleet repo with -C")
        self.repository = pygit2.Repository(found)

    def revision(self, name: str) -> Revision:
        """The commit that a name means here; of a branch that is only on the remote, the remote's.

        Raises:
            SourceError: it means none.
        """
        for said in (name, f"origin/{name}"):
            try:
                commit = self.repository.revparse_single(said).peel(pygit2.Commit)
            except DAMAGE:
                continue
            return self._describe(name, commit)
        raise SourceError(f"there is no commit `{name}` in this clone", hint="fetch it, or name another revision")

    def has(self, commit: str) -> bool:
        return pygit2.Oid(hex=commit) in self.repository

    def tree(self, revision: Revision) -> GitTree:
        """The revision's files.

        Raises:
            SourceError: they break a bound, or the clone is damaged.
        """
        try:
            return GitTree(self.repository, revision.commit)
        except DAMAGE as error:
            raise SourceError(f"{revision}: the clone is damaged", hint="clone it again") from error

    def fork_point(self, head: Revision, branch: str) -> Revision | None:
        """Where `head` left `branch`; on the branch itself, the commit before. None when there is no such commit."""
        commit = self.commit(head.commit)
        for name in (f"origin/{branch}", branch):
            try:
                tip = self.repository.revparse_single(name).peel(pygit2.Commit)
            except DAMAGE:
                continue
            base = self.repository.merge_base(commit.id, tip.id)
            if base is not None and base != commit.id:
                return self._describe(branch, self.commit(str(base)))
        return self._describe(branch, commit.parents[0]) if commit.parents else None

    def commit(self, commit: str) -> pygit2.Commit:
        """A commit object by its id."""
        return self.repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)

    def descends(self, commit: str, ancestor: str) -> bool:
        """`ancestor` is in the history of `commit`, or is it."""
        old, new = pygit2.Oid(hex=ancestor), pygit2.Oid(hex=commit)
        return old == new or (old in self.repository and self.repository.descendant_of(new, old))

    def _describe(self, name: str, commit: pygit2.Commit) -> Revision:
        line = commit.raw_message.partition(b"\n")[0].decode(errors="replace")[:SUBJECT]
        subject = "".join(letter if letter.isprintable() else "?" for letter in line)
        count = sum(1 for _ in self.repository.walk(commit.id, SortMode.NONE))
        return Revision(name, str(commit.id), count, commit.commit_time, subject)
