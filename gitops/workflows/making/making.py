"""Builds, releases and signatures of one plan: every box gets what can be made for it.

In: a fleet and its plan. Out: candidates in the store, and why the other boxes have none. Rules: a package that does
not build, or stands on one that does not, fails the boxes that need it and no other; so it is with a release that
cannot be assembled, signed or kept. A lease that is lost and a token that is away end the pass. The next pass tries
again; what a package itself is to blame for, ever more slowly.

    failed = Making(workshop, witness, offer, journal, patience).carry_out(todo, watch)
"""

from collections.abc import Mapping

from gitops.errors import BuildError, TokenError, TowerosError, readable
from gitops.model import Plan, Step
from gitops.plan import needed
from gitops.store import LeaseError
from gitops.workflows.journal import Journal, Stopwatch
from gitops.workflows.making.patience import Patience
from gitops.workflows.making.progress import BUILD, Progress
from gitops.workflows.offer import Offer
from gitops.workflows.provenance.witness import Witness
from gitops.workflows.workshop import Workshop

ENDS_THE_PASS = (LeaseError, TokenError)
"""Another controller has taken over; or a token hangs, which each box would wait for."""


class Making:
    """For one revision. `pause`: seconds until a build that failed is tried again."""

    def __init__(
        self,
        workshop: Workshop,
        witness: Witness,
        offer: Offer,
        journal: Journal,
        patience: Patience,
        pause: float = 0.0,
    ) -> None:
        self._workshop, self._witness, self._offer = workshop, witness, offer
        self._journal, self._patience, self._pause = journal, patience, pause
        self._progress = Progress(workshop.store)

    def carry_out(self, todo: Plan, watch: Stopwatch) -> dict[str, TowerosError]:
        """Make a candidate for every box that the plan names. Returns the boxes that have none, and why.

        Raises:
            TowerosError: it concerns every box.
        """
        self._witness.agree()
        with Progress(self._workshop.store) as self._progress:
            return self._carry_out(todo, watch)

    def _carry_out(self, todo: Plan, watch: Stopwatch) -> dict[str, TowerosError]:
        unbuilt = self._build(todo, watch)
        failed = {box: error for step in todo.boxes if (error := self._lacks(box := step.subject, unbuilt))}
        going = [step for step in todo.boxes if step.subject not in failed]
        with watch.stage("pull"):
            if going:
                self._workshop.pull()
        return failed | self._make(todo, going, watch)

    def _build(self, todo: Plan, watch: Stopwatch) -> dict[str, TowerosError]:
        """Build what is missing, bases first. Returns the packages that have no image, and why."""
        unbuilt: dict[str, TowerosError] = {}
        for step in self._progress.each(BUILD, todo.builds):
            self._offer.hold_at_once()
            if error := self._lacking_base(step.subject, unbuilt) or self._build_one(step, watch):
                unbuilt[step.subject] = error
                self._progress.failed()
            else:
                self._progress.made(self._workshop.fleet.packages[step.subject].key)
        return unbuilt

    def _build_one(self, step: Step, watch: Stopwatch) -> TowerosError | None:
        key = self._workshop.fleet.packages[step.subject].key
        if held := self._patience.held(key):
            return held
        try:
            with watch.stage("build"), self._journal.building(step):
                self._workshop.build(step.subject)
                self._witness.built(step.subject)
        except ENDS_THE_PASS:
            raise
        except Exception as caught:
            error = readable(caught)
            if isinstance(error, BuildError) and not error.transient:
                self._patience.failed(key, error, self._pause)
            return error
        return None

    def _lacking_base(self, path: str, unbuilt: Mapping[str, TowerosError]) -> TowerosError | None:
        return next((unbuilt[base] for base in self._workshop.fleet.packages[path].depends if base in unbuilt), None)

    def _lacks(self, box: str, unbuilt: Mapping[str, TowerosError]) -> TowerosError | None:
        """Why a package that the box is made from has no image."""
        fleet = self._workshop.fleet
        return next((unbuilt[path] for path in needed(fleet, fleet.boxes[box]) if path in unbuilt), None)

    def _make(self, todo: Plan, going: list[Step], watch: Stopwatch) -> dict[str, TowerosError]:
        failed: dict[str, TowerosError] = {}
        for step in self._progress.each("assemble", going):
            try:
                with watch.stage("assemble"):
                    made = self._workshop.assemble(step.subject)
                with watch.stage("sign"):
                    self._offer.add(todo, made, self._witness)
            except ENDS_THE_PASS:
                raise
            except Exception as caught:
                failed[step.subject] = readable(caught)
                self._progress.failed()
        return failed
