"""The states of a box's agent, and the only ways between them (a test compares this drawing and the code).

    starting  --begin_trial--> probation     the initrd says that this boot is a trial
    starting  --settle-------> idle          a blessed release
    probation --bless--------> idle          healthy until the end of the window: keep it
    probation --go_back------> rebooting     failed or indeterminate: the entry is marked bad first
    idle      --take---------> fetching      Git asks for something else, and it may be tried now
    fetching  --fetched------> staging       every layer is on the disk and proven
    fetching  --refuse-------> idle          something was wrong or missing: the box stays as it was
    staging   --staged-------> rebooting     the counted entry has its name: the only way into a trial
    staging   --refuse-------> idle          held or replaced meanwhile; it could not be written or did not read back

A box reboots only from `rebooting`, so only after `go_back` or `staged`.
"""

from enum import StrEnum


class State(StrEnum):
    STARTING = "starting"
    PROBATION = "probation"
    IDLE = "idle"
    FETCHING = "fetching"
    STAGING = "staging"
    REBOOTING = "rebooting"


TRANSITIONS: dict[tuple[State, str], State] = {
    (State.STARTING, "begin_trial"): State.PROBATION,
    (State.STARTING, "settle"): State.IDLE,
    (State.PROBATION, "bless"): State.IDLE,
    (State.PROBATION, "go_back"): State.REBOOTING,
    (State.IDLE, "take"): State.FETCHING,
    (State.FETCHING, "fetched"): State.STAGING,
    (State.FETCHING, "refuse"): State.IDLE,
    (State.STAGING, "staged"): State.REBOOTING,
    (State.STAGING, "refuse"): State.IDLE,
}


def after(state: State, event: str) -> State:
    """The state that `event` leads to; `KeyError` when there is no such way."""
    return TRANSITIONS[state, event]
