"""Whether what Git says now holds what was deployed before, as the record has it. Pure.

In: statements of the record, a revision, the settings' epoch, a way to ask whether a commit has another in its history.
Rules: the statement with the highest epoch and sequence counts, as a controller that did not know of it may have
written an older one after it; a raised epoch accepts another history, as everywhere.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gitops.errors import STAYS, Reason, SourceError
from gitops.model import Revision
from gitops.source.record.entry import Recorded


def accept(recorded: Sequence[Recorded], revision: Revision, epoch: int, holds: Callable[[str, str], bool]) -> None:
    """Raises SourceError (`Replayed`) when the revision is older than the record, or parted from it."""
    last = max(recorded, key=lambda each: (each.epoch, each.sequence), default=None)
    if last is None or epoch > last.epoch or holds(revision.commit, last.commit):
        return
    when = f"{datetime.fromtimestamp(last.time, UTC):%Y-%m-%d %H:%M} UTC"
    needed = max(last.epoch, epoch + last.sequence - revision.sequence) + 1  # then no box runs a newer release, either
    raise SourceError(
        f"{revision} does not hold {last.revision}, which was deployed at {when} as the record of deployments says",
        hint=f"{STAYS}; push what is missing; or, if it is lost, set `epoch = {needed}` in toweros.toml",
        reason=Reason.replayed,
    )
