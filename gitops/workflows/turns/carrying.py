"""What is to be made is made, commit by commit: each part of a plan with the files of its own.

In: a `Todo`. Out: candidates in the store; why other boxes have none; how many layers are new. Rules: a package or a
box that cannot be made keeps no other from its own; nor does an earlier commit that cannot be built the newest one.

    Carrying(settings, store, builder, signer, offer, journal).carry_out(fleet, todo, deployed, watch)
"""

from gitops.builders import Builder
from gitops.errors import TowerosError, readable
from gitops.model import Fleet
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import Store
from gitops.workflows.journal import Journal, Stopwatch
from gitops.workflows.making.making import ENDS_THE_PASS, Making
from gitops.workflows.making.patience import Patience
from gitops.workflows.offer import Offer
from gitops.workflows.provenance.witness import Witness
from gitops.workflows.turns.pins import Part, Pins, Todo
from gitops.workflows.workshop import Workshop


class Carrying:
    """Of one controller."""

    def __init__(
        self, settings: Settings, store: Store, builder: Builder, signer: Signer, offer: Offer, journal: Journal
    ) -> None:
        self._settings, self._store, self._builder = settings, store, builder
        self._signer, self._offer, self._journal = signer, offer, journal
        self.patience = Patience()
        """What failed, and when it is tried again."""

    def carry_out(self, fleet: Fleet, todo: Todo, pins: Pins, watch: Stopwatch, *, again: bool) -> int:
        """Build what is missing, and make a candidate for each box of the plan; a box for which none can be made keeps
        what it has. `again`: this revision is deployed already. Returns the layers made.

        Raises:
            TowerosError: nothing of it can be made.
        """
        if todo.plan.empty:
            self._offer.set_aside(fleet, todo.failed)
            return 0
        before, failed = self._store.layers.names(), dict(todo.failed)
        for part in todo.parts:
            if part.plan.empty and len(todo.parts) > 1:
                continue
            if again:
                self._offer.begin(part.plan)
            failed |= self._part(part, watch)
            pins.made(part)
        self._offer.set_aside(fleet, failed)
        return len(self._store.layers.names() - before)

    def _part(self, part: Part, watch: Stopwatch) -> dict[str, TowerosError]:
        workshop = Workshop(self._settings, self._store, self._builder, (part.point, part.tree), part.fleet)
        witness = Witness(self._store, self._signer, self._settings, workshop)
        making = Making(workshop, witness, self._offer, self._journal, self.patience, self._settings.poll)
        try:
            return making.carry_out(part.plan, watch)
        except Exception as caught:
            if isinstance(caught, ENDS_THE_PASS) or part.point.commit == part.plan.revision.commit:
                raise
            return dict.fromkeys((step.subject for step in part.plan.boxes), readable(caught))
