"""How far the rollout is, as page, API and command line tell it: from the store alone.

progress = Progress.of(store)
progress.paused, progress.waves, progress.waits     # "ada: ...", (WaveState(...),), {"waits for canary ...": 3}
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from gitops.model import Json
from gitops.model.rollout.waves import WaveState
from gitops.rollout.steering import text
from gitops.store import Store
from gitops.store.notes.documents import LastDeployed
from gitops.store.notes.waves import Reverts, Steered, Waves

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
    `reverts`: what is proposed to be taken back, or why that is not."""

    paused: str
    until: str
    waves: Sequence[WaveState]
    waits: Mapping[str, int]
    reverts: Sequence[str] = ()

    @classmethod
    def of(cls, store: Store) -> "Progress":
        """As the last pass saw it."""
        said = store.notes.get(Steered) or Steered()
        waits = Counter(str(hold) for hold in store.holds.all().values())
        waves = (store.notes.get(Waves) or Waves()).states
        paused = text(said) if said.since else ""
        return cls(paused, said.revision, waves, dict(waits.most_common()), _reverts(store))

    @property
    def rows(self) -> list[Row]:
        """Waves that have boxes."""
        return [Row.of(wave) for wave in self.waves if wave.counts]

    @property
    def quiet(self) -> bool:
        """Whether nobody waits for anything."""
        return not self.paused and not self.waits

    def as_json(self) -> Json:
        return {**asdict(self), "waves": [asdict(wave) for wave in self.waves]}


def _reverts(store: Store) -> list[str]:
    """Of what is deployed, and whatever is still open."""
    deployed = store.notes.get(LastDeployed)
    rows = (store.notes.get(Reverts) or Reverts()).proposed
    here = deployed.revision.commit if deployed else ""
    return [str(row) for commit, row in rows.items() if commit == here or not row.ended]
