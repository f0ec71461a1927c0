"""Which boxes somebody asks for.

In: words (role, site, labels, revision, health...), and what is known of each box. Out: those that all of them fit.
Rules:

- Several words of one kind: one of them fits (`--role a --role b`); several kinds: all of them. Each label counts.
- `-` is a box without a site, or one that does not say its agent or kernel.
- A revision is a commit's beginning (7 letters at least), or the revision as it is shown, or its part before the `@`;
  it fits what a box runs or is to run. `text` is looked for everywhere, small or large. No patterns: a word is a word.
- Most troubled first (`rank`), then by name. What trouble is: `trouble`.

    Choice(roles=("relay",), held=True).of(rows)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitops.errors import TowerosError
from gitops.model import Sync
from gitops.rollout.choosing.named import NONE, SILENT, is_revision
from gitops.rollout.choosing.trouble import trouble
from gitops.rollout.status import BoxStatus
from gitops.store.notes.directory import Place

LONGEST, MOST = 200, 100
"""Characters of a word, and words of a kind."""
TROUBLE = {"Missing": 0, "Degraded": 0, "Late": 1, "Wiped": 2, "Unknown": 3, "Progressing": 4}


@dataclass(frozen=True)
class Known:
    """A box, and by what it may be looked for beside its status."""

    status: BoxStatus
    place: Place = field(default_factory=Place)


@dataclass(frozen=True)
class Choice:
    """What is asked for; everything empty: all boxes. `held`, `silent`, `troubled`: only those."""

    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    revisions: tuple[str, ...] = ()
    healths: tuple[str, ...] = ()
    syncs: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    held: bool = False
    silent: bool = False
    troubled: bool = False
    text: str = ""

    def __post_init__(self) -> None:
        """Raises TowerosError: a word of them can mean nothing."""
        kinds = (self.roles, self.sites, self.revisions, self.healths, self.syncs, self.agents, self.kernels)
        words = [word for kind in kinds for word in kind] + [word for pair in self.labels for word in pair]
        if long := next((word for word in (*words, self.text) if len(word) > LONGEST), ""):
            raise TowerosError(f"{long[:40]!r}... is longer than {LONGEST} letters")
        if max(map(len, (*kinds, self.labels))) > MOST:
            raise TowerosError(f"more than {MOST} words of one kind")

    @property
    def moves(self) -> bool:
        """Whether it asks for what changes by itself."""
        return bool(self.revisions or self.healths or self.syncs or self.held or self.silent or self.troubled)

    def of(self, rows: Iterable[Known]) -> list[Known]:
        """Those that fit, the most troubled first."""
        return sorted(filter(self.fits, rows), key=rank)

    def fits(self, each: Known) -> bool:
        """Whether a box is meant."""
        status, place = each.status, each.place
        words = (
            (self.roles, place.role), (self.sites, place.site or NONE), (self.healths, status.health),
            (self.syncs, status.sync), (self.agents, status.agent or NONE), (self.kernels, status.kernel or NONE),
        )  # fmt: skip
        return (
            all(not asked or value in asked for asked, value in words)
            and all(place.labels.get(key) == value for key, value in self.labels)
            and (not self.revisions or any(runs(status, revision) for revision in self.revisions))
            and (not self.held or bool(status.held))
            and (not self.silent or status.health in SILENT)
            and (not self.troubled or bool(trouble(status)))
            and (not self.text or self.text.casefold() in _all_words(each))
        )


def runs(status: BoxStatus, revision: str) -> bool:
    """Whether a box runs, or is to run, a revision that somebody named."""
    return is_revision(status.running, revision) or is_revision(status.wanted, revision)


def rank(each: Known) -> tuple[int, str]:
    """Trouble first: silent or degraded, then what it could not take, then whoever is not yet where it is to be."""
    status = each.status
    place = TROUBLE.get(str(status.health), 7)
    if status.error or status.fell_back:
        place = min(place, 1)
    if status.sync == Sync.OUT_OF_SYNC:
        place = min(place, 5)
    if status.held:
        place = min(place, 6)
    return place, status.box


def _all_words(each: Known) -> str:
    status, place = each.status, each.place
    words: Mapping[str, object] = {**status.as_json(), "role": place.role, "site": place.site}
    labels = [f"{key}={value}" for key, value in place.labels.items()]
    return "\n".join([*map(str, words.values()), *labels]).casefold()
