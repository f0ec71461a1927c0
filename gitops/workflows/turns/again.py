"""The boxes that failed on what they are to run: all of them, or those of a wave or a role.

In: the fleet that is deployed, the store. Out: names. Rules: only what a box is to run now counts, not what it failed
on before; who is well, waits or is held is not among them.

    failed(fleet, store, wave="lab")        # ["site-7"]
"""

from gitops.errors import TowerosError
from gitops.model import Fleet
from gitops.rollout.careful import Going
from gitops.store import Store


def failed(fleet: Fleet, store: Store, *, wave: str = "", role: str = "") -> list[str]:
    """By name.

    Raises:
        TowerosError: there is no such wave or role.
    """
    going = Going(fleet.boxes, fleet.policy.careful)
    waves, roles = [each.name for each in going.waves], {box.role for box in fleet.boxes.values()}
    for word, name, known in (("wave", wave, waves), ("role", role, sorted(roles))):
        if name and name not in known:
            raise TowerosError(f"there is no {word} {name}", hint=f"there are: {', '.join(known)}")

    def meant(box: str) -> bool:
        own = fleet.boxes.get(box)
        return own is not None and (not role or own.role == role) and (not wave or waves[going.wave[box]] == wave)

    states = store.states.all()
    return [state.name for state in states if state.wanted.content in state.failed and meant(state.name)]
