"""How long what may take, and that it fits together. Pure: numbers and sums; all are seconds.

The watchdog resets a box that has not fed it for `BITE`. It is fed between any two waits, never within one, and only
until the end that the step had from its beginning. So three things hold, and `tests/agent/test_deadlines.py` sums them:

- no single wait comes near `BITE`, so a server that is silent or slow resets nobody;
- every step has an end, so what ticks for ever without an end does not keep a box alive that does nothing;
- a trial is fed until the round that its patience ends in is over, and its report sent; then it is left by a reset.
"""

from collections.abc import Iterable

from toweros_agent.machine import State
from toweros_agent.nouns import Check

BITE = 60.0
"""The watchdog's own time-out."""
FED_EVERY = 10.0
"""Between two writes to it."""
BARK = 45.0
"""Without a feed, after which it is written down what the agent is doing: there is time for a slow disk."""

SLICE = 5.0
"""The longest piece of a wait that nothing ends: sleeping, and waiting for a resolver."""
CONNECT = 10.0
"""For one address of a server; the next one is tried then."""
RESOLVE = 15.0
"""For a name: two dead resolvers of the C library (5 s each), and a third that answers."""
SILENCE = 20.0
"""That a server may be silent."""
TRIAL_SILENCE = 5.0
"""The same during probation, where rounds must not wait for a dead server."""
SERVICES = 20.0
"""For containerd to list its tasks; for Docker to say all of its containers."""
ANSWER = 5.0
"""For Docker to say that it is there, and again for the names of what was refused something."""
CHECK = 20.0
"""The longest that one check may take, whatever it asks for."""

LOOK = 180.0
"""All requests of a look at the offer: some hundred kilobytes over the thinnest line."""
TRIAL_LOOK = 60.0
REPORT = 60.0
FACTS = 2.0
"""All facts of a report that a driver has to tell; a part of `SLACK`."""
FETCH = 6 * 3600.0
"""All downloads of a release; what came so far stays, and the next step goes on from there."""
EARLY = 600.0
"""Downloads before a release's turn, in one step: what came stays, and the box hears what is asked of it meanwhile."""
BUSY = 60.0
"""The longest that a download waits because its server asked for that: what is asked of the box is to be heard."""
RATE_WINDOW, MIN_RATE = 60.0, 64
"""A download that brings less than so many bytes a second, over such a window, is given up: another mirror may do."""
LOCAL = 300.0
"""Chores on the disk: no network."""
MADE = 300.0
"""How long a trial waits for init to make all services before its own time begins."""
REBOOT = 180.0
"""How long onshutdown may take before the watchdog is left to reset the box."""
SLACK = 30.0
"""For what is not a wait: reading, hashing, writing."""
PATIENCE = 5
"""Windows until a trial that came to no verdict is given up."""
GOOD = 6
"""Rounds in a row in which a check of a trial must hold; a trial has at least so many, however long they take."""
PAUSE = 10.0
"""The longest between two rounds of a trial."""
GIVE_UP, MAX_DOUBLINGS = 600.0, 6
"""How long a box is up before it starts again for what nothing else helps; doubled for each time that this happened."""


def give_up(before: int) -> float:
    return GIVE_UP * (1 << min(before, MAX_DOUBLINGS))


def health_round(checks: Iterable[Check]) -> float:
    """The longest that one round of health checks takes."""
    return 2 * SERVICES + 2 * ANSWER + sum(min(check.timeout, CHECK) for check in checks if check.type == "http")


def step(state: State, checks: Iterable[Check]) -> float:
    """The longest that the work of one step takes in `state`, before its report."""
    longest = {
        State.STARTING: LOCAL,
        State.PROBATION: health_round(checks) + TRIAL_LOOK + LOCAL,
        State.IDLE: health_round(checks) + LOOK,
        State.FETCHING: FETCH,
        State.STAGING: FETCH + LOCAL,
        State.REBOOTING: SLACK,
        State.WIPING: LOCAL,
    }
    return longest[state] + SLACK


def trial(probation: float, checks: Iterable[Check]) -> float:
    """From a trial's start until the watchdog bites: services come late, and patience ends just after a round began."""
    checks = tuple(checks)
    rounds = GOOD * (health_round(checks) + TRIAL_LOOK + REPORT + PAUSE)
    return MADE + max(probation * PATIENCE, rounds) + step(State.PROBATION, checks) + REPORT
