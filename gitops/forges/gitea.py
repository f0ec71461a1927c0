"""Gitea's and Forgejo's REST API (v1), as a `Forge`: GitHub's shapes, with differences.

In: `owner/name` and an `Api` whose base ends in `/api/v1`. Rules beyond GitHub's: a list of pull requests cannot be
asked for by branch, so all that are open are read (the newest 1,000, when closed ones count, too), and a fork's branch
of the same name is none of ours; `owner` is a permission; who asks for the permission of others must be an
administrator of the repository, or nobody may have anything built by a comment.

    Gitea("octo/fleet", Api("https://git.example/api/v1", token)).pulls("main")
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from gitops.errors import ForgeError
from gitops.forges.forge import Pull
from gitops.forges.github import WRITERS, GitHub, member, pull_of
from gitops.model import Json

PAGE = "50"
"""Items of a page: no Gitea gives more, unless it is told to."""


class Gitea(GitHub):
    """Implements `Forge`."""

    writers = (*WRITERS, "owner")
    name = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

    def pulls(self, branch: str) -> Sequence[Pull]:
        """See `Forge.pulls`."""
        items = self._api.pages(f"{self._path}/pulls", {"state": "open", "sort": "oldest", "limit": PAGE})
        return [each for each in map(pull_of, items) if not branch or each.branch == branch]

    def _from(self, branch: str, target: str, state: str) -> Iterator[Json]:
        query = {"state": state, "sort": "recentupdate", "limit": PAGE}
        for item in self._api.pages(f"{self._path}/pulls", query):
            with suppress(ForgeError):  # a head that is gone: no pull request that could be read
                each = pull_of(item)
                if not each.fork and each.branch == target and member(item, "head", "ref") == branch:
                    yield item
