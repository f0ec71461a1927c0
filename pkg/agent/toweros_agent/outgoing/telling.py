"""What the box says of itself now: the nouns of this boot become a report (report.py)."""

from collections.abc import Sequence

from toweros_agent.health.condition import Condition
from toweros_agent.history import History
from toweros_agent.host import room
from toweros_agent.host.boot import Boot
from toweros_agent.host.esp import Esp
from toweros_agent.machine import State
from toweros_agent.nouns import Json, Release
from toweros_agent.offer.repository import seen
from toweros_agent.outgoing.rows import CheckRow, FailureRow, Health, ResetRow
from toweros_agent.report import Report
from toweros_agent.upkeep.disk import Upkeep

SETTLED = (State.IDLE, State.FETCHING, State.STAGING)


class Teller:
    """Reads where the others keep what they know."""

    def __init__(
        self, boot: Boot, running: Release, esp: Esp, history: History, upkeep: Upkeep, condition: Condition
    ) -> None:
        self.boot, self.running, self.esp = boot, running, esp
        self.history, self.upkeep, self.condition = history, upkeep, condition

    def tell(self, state: State, error: str, problems: Sequence[str]) -> Report:
        """`error`: why the last offer was not taken; `problems`: what else is wrong with the box."""
        own = (self.history.problem, *self.upkeep.problems, *self.condition.keeper.problems)
        degraded = [each for each in (*problems, *own) if each]
        if state in SETTLED:  # in a trial the way back is still being made
            degraded += self.upkeep.firmware.problems()
        memory = self.history.memory
        entry, back = self.esp.get(self.boot.started), self.upkeep.rollback()
        if self.boot.started != self.boot.sequence:
            degraded.append(f"{self.boot.entry} starts release {self.boot.sequence}: its addon is another release's")
        return Report(
            sequence=self.boot.sequence,
            release=self.boot.release,
            content=self.running.content,
            phase=state,
            health=self.health(state, degraded),
            error=error,
            staged=max((each.sequence for each in self.history.waiting()), default=0),
            rollback=back.sequence if back and back.sequence != self.boot.sequence else 0,
            entry=entry.name if entry else "",
            degraded=degraded,
            checks=[CheckRow.of(result) for result in self.condition.results],
            fetched=memory.fetched | {"repaired": len(self.boot.repaired)},
            failures=[FailureRow.of(failure) for failure in memory.failures],
            resets=[ResetRow.of(reset) for reset in memory.resets],
            retried=sorted({why for reasons in memory.retried.values() for why in reasons}),
            firmware=self.upkeep.firmware.facts(),
            trusted=seen(self.history.disk.tuf, self.boot.box),
            room=self.room(back.sequence if back else 0),
            ssh=self.upkeep.host_key.public,
        )

    def room(self, back: int) -> Json | None:
        """What the disk holds, and the release that it keeps beside the running one: no more is offered than fits."""
        toweros, esp = room.blocks(self.history.disk.root, "ext4"), room.blocks(self.esp.folder, "vfat")
        staged = self.history.memory.staged.get(back) if back != self.boot.sequence else None
        return {"toweros": toweros, "esp": esp, "back": staged.release if staged else ""} if toweros and esp else None

    def health(self, state: State, degraded: Sequence[str]) -> Health:
        coming = self.condition.coming or self.upkeep.boot_loader.pending
        if state not in SETTLED or (coming and not degraded):
            return Health.PROGRESSING
        return Health.HEALTHY if self.condition.well and not degraded else Health.DEGRADED
