"""Which commit a box is to be made of: the newest, that of its pin, or a floor that it must not skip. Pure.

In: what fleet.yaml, role and box say, as commits; which floors the box has behind it; who is in whose history. Out: the
commit to aim at. Rules:

- a floor is on the way of a box when what it is to run in the end has the floor in its history;
- the oldest floor on the way that the box has not passed comes first; then the next; then what it is to run;
- who has passed a floor does not go back below it: such a pin is refused;
- a floor is passed by who runs something later, or was Healthy on it.

    aim("", ["F"], passed=(), holds=history.holds, head="H")        # "F"
    aim("", ["F"], passed=("F",), holds=history.holds, head="H")    # "H"
"""

from collections.abc import Callable, Collection, Iterable

from gitops.errors import TowerosError

Holds = Callable[[str, str], bool]
"""Whether the first commit has the second one in its history, or is it."""


def aim(pin: str, floors: Iterable[str], *, passed: Collection[str], holds: Holds, head: str) -> str:
    """`pin`: empty, or the commit that the box is to stay on. `passed`: floors that it has behind it.

    Raises:
        TowerosError: it is pinned below a floor that it has passed.
    """
    wanted, all_ = pin or head, in_order(floors, holds)
    if below := next((floor for floor in all_ if floor in passed and not holds(wanted, floor)), ""):
        hint = "pin it to a later commit, or take the floor away"
        raise TowerosError(f"the pin {wanted[:12]} is below the floor {below[:12]}, which it has passed", hint=hint)
    return next((floor for floor in all_ if floor not in passed and holds(wanted, floor)), wanted)


def in_order(floors: Iterable[str], holds: Holds) -> list[str]:
    """Each once, none before one that is in its history; of those with as many in theirs, by name."""
    each = {*floors}
    return sorted(each, key=lambda one: (sum(holds(one, other) for other in each), one))


def has_passed(floor: str, runs: str, *, settled: bool, holds: Holds) -> bool:
    """By the commit of what a box runs. `settled`: it is Healthy on it."""
    return bool(runs) and holds(runs, floor) and (runs != floor or settled)
