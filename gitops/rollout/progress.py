"""How far the rollout is, as page, API and command line tell it: from the store alone.

progress = Progress.of(store)
progress.paused, progress.waves, progress.waits     # "ada: ...", (WaveState(...),), {"waits for canary ...": 3}
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from gitops.errors import StoreError
from gitops.model import Json
from gitops.model.rollout.turns import BoxTurn
from gitops.model.rollout.waves import WaveState
from gitops.rollout import overtaken
from gitops.rollout.leases.said import said, told
from gitops.rollout.steering import text
from gitops.store import Store
from gitops.store.notes.documents import LastDeployed
from gitops.store.notes.waves import Aside, Reverts, Steered, Waves

IN_TROUBLE = ("failed", "Missing", "Degraded")


@dataclass(frozen=True)
class Row:
    """A wave in numbers. `says`: what those after it wait for; `done`: nobody does."""

    name: str
    boxes: int
    healthy: int
    going: int
    waiting: int
    trouble: int
    says: str

    @classmethod
    def of(cls, wave: WaveState) -> "Row":
        number = wave.counts.get
        waiting, trouble = number("waits", 0) + number("silent", 0), sum(number(kind, 0) for kind in IN_TROUBLE)
        says = wave.says or ("done" if wave.done else "")
        boxes = sum(wave.counts.values())
        return cls(wave.name, boxes, number("Healthy", 0), number("going", 0), waiting, trouble, says)


@dataclass(frozen=True)
class Progress:
    """`paused`: who, why and since when; `until`: the commit with which that ends; `waits`: why -> how many boxes;
    `reverts`: what is proposed to be taken back, or why that is not; `aside`: what keeps boxes from the newest commit
    (a pin, a floor on their way) -> how many."""

    paused: str
    until: str
    waves: Sequence[WaveState]
    waits: Mapping[str, int]
    reverts: Sequence[str] = ()
    aside: Mapping[str, int] = field(default_factory=dict)
    turns: Sequence[str] = ()
    """What boxes have of what is to come, and what holds them off, in words."""

    @classmethod
    def of(cls, store: Store, boxes: Collection[str] | None = None) -> "Progress":
        """As the last pass saw it. `boxes`: the names of those that there are, for who has read them anyway."""
        said = store.notes.get(Steered) or Steered()
        waits = Counter(str(hold) for hold in store.holds.all().values())
        waves = (store.notes.get(Waves) or Waves()).states
        paused = text(said) if said.since else ""
        kept = _reverts(store), _aside(store), told(_turns(store, boxes))
        return cls(paused, said.revision, waves, dict(waits.most_common()), *kept)

    @property
    def overtaken(self) -> list[str]:
        """Waves that newer commits leave behind, in sentences."""
        return list(overtaken.told(self.waves))

    @property
    def rows(self) -> list[Row]:
        """Waves that have boxes."""
        return [Row.of(wave) for wave in self.waves if wave.counts]

    @property
    def quiet(self) -> bool:
        """Whether nobody waits for anything."""
        return not self.paused and not self.waits

    @property
    def tells(self) -> bool:
        """Whether there is anything to say: also of boxes that wait for nothing, and will not be on this commit."""
        return not self.quiet or bool(self.aside or self.turns or self.overtaken)

    def as_json(self) -> Json:
        return {**asdict(self), "waves": [asdict(wave) for wave in self.waves], "overtaken": self.overtaken}


def _turns(store: Store, boxes: Collection[str] | None) -> dict[str, BoxTurn]:
    """Of the boxes that there are."""
    if not (turns := said(store)):
        return {}
    names = {state.name for state in store.states.all() if not state.gone} if boxes is None else boxes
    return {box: turn for box, turn in turns.items() if box in names}


def _reverts(store: Store) -> list[str]:
    """Of what is deployed, and whatever is still open."""
    deployed = store.notes.get(LastDeployed)
    rows = (store.notes.get(Reverts) or Reverts()).proposed
    here = deployed.revision.commit if deployed else ""
    return [str(row) for commit, row in rows.items() if commit == here or not row.ended]


def _aside(store: Store) -> dict[str, int]:
    try:
        said = (store.notes.get(Aside) or Aside()).says
    except StoreError:  # the next pass writes it again
        return {}
    return dict(Counter(said.values()).most_common())
