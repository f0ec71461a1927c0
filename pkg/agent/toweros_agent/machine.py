"""The states of a box's agent, and the only ways between them (a test compares this drawing and the code).

    starting  --begin_trial--> probation     the initrd says that this boot is a trial
    starting  --settle-------> idle          a blessed release
    probation --bless--------> idle          healthy until the end of the window: keep it
    probation --go_back------> rebooting     failed or indeterminate: the entry is marked bad first
    idle      --take---------> fetching      Git asks for something else, and it may be tried now
    idle      --despair------> rebooting     what does not answer was started again, and that did not help
    idle      --try_loader---> rebooting     the firmware starts another systemd-boot, once
    idle      --netboot------> rebooting     a box without a disk: the network starts what Git asks for
    idle      --wipe---------> wiping        Git asks for the end of this very machine
    fetching  --fetched------> staging       every layer is on the disk and proven, and its turn has come
    fetching  --ready--------> idle          it is here before its turn, or some of it: the box goes on as it was
    fetching  --refuse-------> idle          something was wrong or missing: the box stays as it was
    staging   --staged-------> rebooting     the counted entry has its name: the only way into a trial
    staging   --refuse-------> idle          held or replaced meanwhile; it could not be written or did not read back

A box reboots only from `rebooting`, so only after `go_back`, `staged`, `despair`, `try_loader` or `netboot`; and from
`wiping`, which has no way out: it is the last that is heard of it.
"""

from enum import StrEnum


class State(StrEnum):
    STARTING = "starting"
    PROBATION = "probation"
    IDLE = "idle"
    FETCHING = "fetching"
    STAGING = "staging"
    REBOOTING = "rebooting"
    WIPING = "wiping"


class Event(StrEnum):
    BEGIN_TRIAL = "begin_trial"
    SETTLE = "settle"
    BLESS = "bless"
    GO_BACK = "go_back"
    TAKE = "take"
    DESPAIR = "despair"
    TRY_LOADER = "try_loader"
    NETBOOT = "netboot"
    WIPE = "wipe"
    FETCHED = "fetched"
    READY = "ready"
    REFUSE = "refuse"
    STAGED = "staged"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.STARTING, Event.BEGIN_TRIAL): State.PROBATION,
    (State.STARTING, Event.SETTLE): State.IDLE,
    (State.PROBATION, Event.BLESS): State.IDLE,
    (State.PROBATION, Event.GO_BACK): State.REBOOTING,
    (State.IDLE, Event.TAKE): State.FETCHING,
    (State.IDLE, Event.DESPAIR): State.REBOOTING,
    (State.IDLE, Event.TRY_LOADER): State.REBOOTING,
    (State.IDLE, Event.NETBOOT): State.REBOOTING,
    (State.IDLE, Event.WIPE): State.WIPING,
    (State.FETCHING, Event.FETCHED): State.STAGING,
    (State.FETCHING, Event.READY): State.IDLE,
    (State.FETCHING, Event.REFUSE): State.IDLE,
    (State.STAGING, Event.STAGED): State.REBOOTING,
    (State.STAGING, Event.REFUSE): State.IDLE,
}


def after(state: State, event: Event) -> State:
    """The state that `event` leads to; `KeyError` when there is no such way."""
    return TRANSITIONS[state, event]
