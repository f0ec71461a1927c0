"""The document on machines that operators gave a name from the pages, and what became of that in Git."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Adoption:
    """The machine with `key` (Ed25519, hex) shall be the box `name` with this `role`, says `who`, and `why`, since when
    (Unix seconds). `commit` is proposed on a branch (`pushed`: it is there; `pull`: the pull request, 0: none); `note`:
    what became of it; `ended`: it is never looked at again."""

    key: str
    name: str
    role: str
    who: str
    why: str
    since: int
    commit: str = ""
    pushed: bool = False
    pull: int = 0
    note: str = ""
    ended: bool = False

    @property
    def branch(self) -> str:
        return f"toweros/adopt-{self.name}"

    def __str__(self) -> str:
        shown = f"proposed as {self.branch}" if self.pushed else "on its way to Git"
        shown += f", pull request {self.pull}" if self.pull else ""
        return f"{self.name} ({self.role}), by {self.who}: {self.note or shown}"


@dataclass(frozen=True)
class Adoptions:
    """By the key of the machine; the newest last."""

    rows: Mapping[str, Adoption] = field(default_factory=dict)


ADOPTING: Mapping[type[object], str] = {Adoptions: "adoptions"}
"""Its name (`documents.NAMES`)."""
