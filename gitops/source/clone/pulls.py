"""Pull requests' commits: what strangers push enters neither the clone that deploys, nor one that stays.

In: the remote, and where the forge keeps a pull request's head. Out: a `LocalClone` that has it and the branch that it
wants to go to. Rules: the branch is kept, in a bare clone of its own; a head comes into a scratch clone that borrows
the branch's objects (gitrepository-layout, objects/info/alternates), and goes with its folder; nothing is checked out
or run.

    pulls = PullClone(access, state / "review")
    pulls.follow("main")
    clone = pulls.fetch("main", "refs/pull/7/head", scratch)
"""

import shutil
from pathlib import Path

import pygit2

from gitops.errors import STAYS, SourceError
from gitops.source.clone.commits import DAMAGE, LocalClone
from gitops.source.clone.remote import Access, download, packs, unreachable

MAX_PACKS = 200
"""Every fetch leaves packs, and libgit2 never joins them: above this the clone is made again."""
PULL = "refs/toweros/pull"


class PullClone:
    """A bare clone of a branch below `folder`."""

    def __init__(self, access: Access, folder: Path) -> None:
        access.check()
        self._access, self._path = access, folder / "clone.git"
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")

    def follow(self, branch: str) -> None:
        """Have the branch as it is now.

        Raises:
            SourceError: the remote is away (transient), or a bound is passed.
        """
        try:
            download(self._open(), self._access, f"+refs/heads/{branch}:{_name(branch)}")
        except DAMAGE as error:
            shutil.rmtree(self._path, ignore_errors=True)
            raise unreachable(self._access, error) from error

    def fetch(self, branch: str, ref: str, scratch: Path) -> LocalClone:
        """A pull request's head, in a clone below `scratch`, beside the branch.

        Raises:
            SourceError: the remote does not give it (transient), or a bound is passed.
        """
        path = scratch / "clone.git"
        pygit2.init_repository(str(path), bare=True)
        (path / "objects/info").mkdir(exist_ok=True)
        (path / "objects/info/alternates").write_text(f"{self._path.resolve()}/objects\n")
        repository = pygit2.Repository(str(path))
        try:
            tip = pygit2.Repository(str(self._path)).references[_name(branch)].target
            repository.references.create(_name(branch), tip)
            download(repository, self._access, f"+{ref}:{PULL}")
        except DAMAGE as error:
            words = self._access.clean(str(error))
            hint = f"it is tried again; {STAYS}"
            raise SourceError(f"{ref} cannot be fetched: {words}", hint=hint, transient=True) from error
        return LocalClone(path)

    def _open(self) -> pygit2.Repository:
        if packs(self._path) > MAX_PACKS:
            shutil.rmtree(self._path)
        if self._path.exists():
            repository = pygit2.Repository(str(self._path))
            if PULL not in repository.references:
                return repository
            shutil.rmtree(self._path)  # of a version that kept what strangers pushed
        return pygit2.init_repository(str(self._path), bare=True)


def _name(branch: str) -> str:
    return f"refs/remotes/origin/{branch}"
