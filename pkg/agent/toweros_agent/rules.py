"""Pure decisions. Nothing here reads a clock, a file or the network: what they need comes as arguments.

- decide: may this offer be tried now?
- diagnose: an installed release does not run: what went wrong?
- rollback: which installed release is the way back?
- keep: which boot entries stay?
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from toweros_agent.nouns import Entry, Failure, Offer, Refused, Release, Staged, Verdict

MAX_INDETERMINATE = 4
"""How often one content is tried that never got a verdict."""
RETRY_AFTER = (60, 600, 3600)
"""Seconds to wait after the first, second, ... indeterminate end, and after tries that ended by loss of power."""


@dataclass(frozen=True)
class Cut:
    """How often the tries of a content ended by loss of power, and when that was found last."""

    count: int = 0
    time: int = 0


NO_CUT = Cut()


def decide(
    offer: Offer,
    running: Release,
    failures: Sequence[Failure],
    now: int,
    retried: Collection[str] = (),
    cut: Cut = NO_CUT,
) -> str | None:
    """None: take it. A text: why not now ("" when the box already runs it).

    `retried` are the reasons for which its content was tried again already; any other forgives all failures of before.
    Loss of power says nothing of a release, so it is no failure: but where power is bad, tries in a row are a box that
    is away, so it waits as long as after a failure.

    Raises:
        Refused: the offer is older than what runs.
    """
    if offer.content == running.content:
        return ""
    if offer.sequence <= running.sequence:
        raise Refused(f"release {offer.sequence} is not newer than the running {running.sequence}")
    if offer.held:
        return f"release {offer.sequence} is held: {offer.held}"
    forgiven = bool({*offer.retry} - {*retried})
    same = [each for each in failures if (each.content, each.uki) == (offer.content, offer.uki.sha256) and not forgiven]
    for each in same:
        if each.verdict == Verdict.FAILED:
            return f"release {offer.sequence} is held: {each.reason}"
    if len(same) >= MAX_INDETERMINATE:
        return f"release {offer.sequence} is held after {len(same)} tries: {same[-1].reason}"
    pauses = [(_pause(len(same), same[-1].time, now), same[-1].reason)] if same else []
    if cut.count and not forgiven:
        pauses.append((_pause(cut.count, cut.time, now), "power was lost in its trial, which does not count"))
    wait, why = max(pauses, default=(0, ""))
    return f"release {offer.sequence} waits for {wait} s: {why}" if wait else None


def _pause(count: int, since: int, now: int) -> int:
    """The whole pause after the `count`-th end at `since`; 0: it is over."""
    pause = RETRY_AFTER[min(count, len(RETRY_AFTER)) - 1]
    # A clock that jumped back must not hold a box for ever.
    return pause if since <= now < since + pause else 0


def diagnose(entry: Entry, intact: bool, why: str, changed: str = "") -> str:
    """Why an installed release does not run that the firmware or the boot loader went past: nothing that proves it bad.

    `why` is what the initrd wrote before it gave up, if it did; `changed`: what was wrong with the loader's choice.
    """
    if not intact:
        return "its boot files do not read back as they were written"
    if entry.left == 0:
        return why or "its tries are used up: it panicked, hung or lost power"
    if why:
        return why
    if changed:
        return f"another entry was started: {changed}"
    if entry.left is not None and not entry.done:
        return "the boot loader never tried it"
    return "refused by the firmware"


def rollback(entries: Iterable[Entry]) -> Entry | None:
    """The entry that the firmware itself falls back to: the last good one that the boot loader would not take first."""
    entries = [entry for entry in entries if not entry.bad]
    newest = max((entry.sequence for entry in entries), default=0)
    good = sorted((entry for entry in entries if entry.plain), key=lambda entry: entry.sequence)
    others = [entry for entry in good if entry.sequence != newest]
    return next(reversed(others or good), None)


def keep(entries: Iterable[Entry], running: int, staged: Mapping[int, Staged], failures: Sequence[Failure]) -> set[int]:
    """Sequences whose entries stay: the running one, the best way back, what was staged, and what waits for a retry."""
    good = [entry.sequence for entry in entries if entry.plain and entry.sequence != running]
    known = [sequence for sequence in good if sequence < running or sequence in staged]
    retry = [each.sequence for each in failures[-1:] if each.verdict == Verdict.INDETERMINATE]
    waiting = [sequence for sequence in staged if sequence > running]
    return {running, *sorted(known)[-1:], *retry, *waiting}
