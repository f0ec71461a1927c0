"""The boxes that failed on what they are to run: all of them, or those of a wave.

In: the fleet that is deployed, the store. Out: names. Rules: only what a box is to run now counts, not what it failed
on before; who is well, waits or is held is not among them.

    failed(fleet, store, wave="lab")        # ["site-7"]
"""

from gitops.errors import TowerosError
from gitops.model import Fleet
from gitops.rollout.careful import Going
from gitops.store import Store


def failed(fleet: Fleet, store: Store, *, wave: str = "") -> list[str]:
    """By name.

    Raises:
        TowerosError: there is no such wave.
    """
    going = Going(fleet.boxes, fleet.policy.careful)
    waves = [each.name for each in going.waves]
    if wave and wave not in waves:
        raise TowerosError(f"there is no wave {wave}", hint=f"there are: {', '.join(waves)}")

    def meant(box: str) -> bool:
        return box in fleet.boxes and (not wave or waves[going.wave[box]] == wave)

    states = store.states.all()
    return [state.name for state in states if state.wanted.content in state.failed and meant(state.name)]
