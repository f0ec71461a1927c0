"""Pull requests' commits, in a clone of their own: what strangers push never enters the clone that deploys.

In: the remote, and where the forge keeps a pull request's head. Out: a `LocalClone` that has it and the branch that it
wants to go to. Rules: one fetch each, within the bounds of `remote`; nothing is checked out or run.

    clone = PullClone(access, state / "review").fetch("main", "refs/pull/7/head")
"""

import shutil
from pathlib import Path

import pygit2

from gitops.source.clone.commits import DAMAGE, LocalClone
from gitops.source.clone.remote import Access, download, packs, unreachable

MAX_PACKS = 200
"""Every fetch leaves packs, and libgit2 never joins them: above this the clone is made again."""


class PullClone:
    """A bare clone below `folder`."""

    def __init__(self, access: Access, folder: Path) -> None:
        access.check()
        self._access, self._path = access, folder / "clone.git"
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")

    def fetch(self, branch: str, ref: str) -> LocalClone:
        """Fetch a branch and a pull request's head.

        Raises:
            SourceError: the remote is away (transient), or a bound is passed.
        """
        repository = self._open()
        try:
            download(repository, self._access, f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
            download(repository, self._access, f"+{ref}:refs/toweros/pull")
        except DAMAGE as error:
            shutil.rmtree(self._path, ignore_errors=True)
            raise unreachable(self._access, error) from error
        return LocalClone(self._path)

    def _open(self) -> pygit2.Repository:
        if packs(self._path) > MAX_PACKS:
            shutil.rmtree(self._path)
        if not self._path.exists():
            return pygit2.init_repository(str(self._path), bare=True)
        return pygit2.Repository(str(self._path))
