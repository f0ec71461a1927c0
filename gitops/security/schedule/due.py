"""Whether a run is due, and what is remembered of it. Pure: the clock is handed in.

    waiting -> due (its time came, or somebody asked) -> started -> finished
                                                           '-> killed: due at once, then ever more rarely

Rules: a schedule that is seen for the first time begins to count now; times that passed while nobody was there are made
up by one run; a clock that was set back makes nothing due, and one that was ahead does not stop it for ever.

    run = claimed(run, now) if due(when, run, now) else run
"""

from dataclasses import replace

from gitops.model.updates.patching import WindowRun
from gitops.model.updates.when import When

FIRST_RETRY, MAX_RETRY = 300, 4 * 3600
"""Seconds until a run that failed is tried again; they double."""


def counted(run: WindowRun, now: int) -> WindowRun:
    """With a beginning to count from that is not in the future."""
    return replace(run, last=now) if not 0 < run.last <= now else run


def next_time(when: When, run: WindowRun, now: int) -> int:
    """When the next run is due, which may be past."""
    if run.asked:
        return min(run.asked, now)
    if killed(run):
        return counted(run, now).last + _patience(run.unended)
    regular = when.after(counted(run, now).last)
    return min(regular, run.retry) if run.retry else regular


def killed(run: WindowRun) -> bool:
    """It was begun and never ended, or is at work."""
    return run.started > run.finished


def due(when: When, run: WindowRun, now: int) -> bool:
    return next_time(when, run, now) <= now


def claimed(run: WindowRun, now: int) -> WindowRun:
    """Begun: nobody begins another one, unless this one never ends."""
    unended = run.unended + 1 if killed(run) else 0
    return replace(run, last=now, asked=0, started=max(now, run.finished + 1), retry=0, unended=unended)


def finished(run: WindowRun, now: int, outcome: str, error: str = "", retry: int | None = None) -> WindowRun:
    """Ended. `retry`: when it must be tried again; None: not before its time, or ever later while it fails."""
    again = retry if retry is not None else (now + _pause(run) if error else 0)
    return replace(run, finished=max(now, run.started), outcome=outcome, error=error, retry=again, unended=0)


def _patience(unended: int) -> int:
    """Seconds from the beginning of a run that was killed to the next: a power cut is made up at once; what kills the
    controller again and again must leave it time for its other work."""
    return min(FIRST_RETRY << (min(unended, 10) - 1), MAX_RETRY) if unended else 0


def _pause(run: WindowRun) -> int:
    """Twice the last one, as far as it can be told: a retry begins where the one before ended."""
    before = run.started - run.finished if run.error and run.finished else 0
    return min(max(FIRST_RETRY, 2 * before), MAX_RETRY)
