"""Two more boxes of the field, at two sites, whose reports a story writes: what the real box does beside them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from gitops.model import Health, Hold, Phase, Report
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.publish import Publisher
from gitops.publish.targets import APPLY, NEXT
from gitops.rollout.leases.rules import Leases
from gitops.sign import Signer
from gitops.workflows.journal import Pass
from tests.e2e.field import BOX, STATIC, Field

BESIDE, FAR = "beside", "far"
ALWAYS = "daily 00:00-24:00"


class Cell:
    """`demo-1` and `beside` are of one cell, `far` is at another site."""

    def __init__(self, field: Field) -> None:
        self.field, self.store = field, field.store
        self._counter = int(time.time())

    def commit(self, why: str, **boxes: str) -> Pass:
        for box, text in boxes.items():
            (self.field.fleet / "boxes" / f"{box.replace('_', '-')}.yaml").write_text(text)
        self.field.commit(why)
        return self.field.apply()

    def report(self, box: str, *, health: Health = Health.HEALTHY, spent: int = 0) -> None:
        """It runs what it is offered."""
        found = self.store.offers.published(box)
        assert found
        if not self.store.boxes.row(box):
            self.store.boxes.enroll(box, "ab" * 32)
        self._counter += 1
        runs = (found.release.sequence, found.document.sha256, found.release.content.digest)
        assert self.store.boxes.save_report(Report(box, "boot", self._counter, 0, "1", *runs, Phase.IDLE, health))
        self.store.notes.put(BoxTurn(spent, idle=True), box)

    def why(self, box: str = BOX) -> str:
        hold = self.store.holds.all().get(box)
        return str(hold) if isinstance(hold, Hold) else ""

    def leases(self) -> dict[str, Lease]:
        """Who may restart now, by what is signed and what boxes said."""
        said = self._publisher().said(APPLY)
        given = {box: Lease.parse(each) for box, each in said.items()}
        states = {state.name: state for state in self.store.states.all()}
        found = Leases(given, self.store.notes.each(BoxTurn), states)
        return {box: given[box] for box in found.open}

    def coming(self) -> set[str]:
        return {*self._publisher().said(NEXT)}

    def turn(self) -> BoxTurn:
        return self.store.notes.get(BoxTurn, BOX) or BoxTurn()

    def _publisher(self) -> Publisher:
        return Publisher(self.store, Signer.open(self.field.settings.keys, self.store))


def closed() -> str:
    """A window of an hour, half a day from now."""
    begins = datetime.now(UTC) + timedelta(hours=12)
    return f"daily {begins:%H}:00-{begins:%H}:59"


@contextmanager
def cell(field: Field) -> Iterator[Cell]:
    """The fleet with the two, whose first releases they run; afterwards it is as it was."""
    fleet = field.fleet / "fleet.yaml"
    before, made = fleet.read_text(), Cell(field)
    fleet.write_text(before.replace("rollout:\n", "rollout:\n  never_together: [cell]\n  canaries: 3\n", 1)
                     .replace("  canaries: 1 ", "  # canaries: 1 "))  # fmt: skip
    try:
        made.commit(
            "A cell of two, and one elsewhere",
            demo_1=f'{STATIC}site: north\nlabels: {{cell: "7"}}\nwindows: ["{closed()}"]\n',
            beside='role: vm\nsite: north\nlabels: {cell: "7"}\n',
            far='role: vm\nsite: south\nlabels: {cell: "8"}\n',
        )
        for box in (BESIDE, FAR):
            made.report(box)
        yield made
    finally:
        fleet.write_text(before)
        (field.fleet / "boxes" / f"{BOX}.yaml").write_text(STATIC)
        for box in (BESIDE, FAR):
            (field.fleet / "boxes" / f"{box}.yaml").unlink(missing_ok=True)
            field.store.boxes.revoke(box)
        field.commit("One box again")
        field.apply()
