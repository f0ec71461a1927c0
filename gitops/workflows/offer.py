"""What is made becomes a candidate; what the rollout allows now becomes what boxes are offered.

In: releases from the workshop, the fleet, the states of all boxes. Out: signed metadata, and why the other boxes wait.
Rules: a box whose content stays the same gets nothing new; what an operator holds waits for nothing; a box that waits
for its turn is told not to move to what Git has left behind; one that cannot be offered its release holds up nobody.

    offer = Offer(store, signer, journal)
    offer.add(plan, workshop.assemble("site-7"), witness)
    published, held = offer.renew(fleet, plan.revision, plan.removed)
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from gitops.assemble.release import Assembled
from gitops.errors import TowerosError, readable
from gitops.model import BoxState, Fleet, Happened, Hold, HoldReason, Json, Plan, Publication, Revision, Step, Target
from gitops.publish import Publisher, clock
from gitops.publish.targets import HOLD_LENGTH, LABELS, NETBOOT, SITE, WIPE, Members, labels_of
from gitops.rollout import holds, places, retries, rules
from gitops.rollout.media import on_media
from gitops.sign import Signer
from gitops.store import LeaseError, Store
from gitops.workflows.enrolment import wiping
from gitops.workflows.enrolment.adoption import adopt
from gitops.workflows.journal import Journal
from gitops.workflows.media.starts import documents
from gitops.workflows.provenance.witness import Witness
from gitops.workflows.turns.permits import Look, Permits
from gitops.workflows.turns.turns import Turns

Stays = Callable[[Fleet], Mapping[str, str]]
MEND = "its next report, or `toweros box enroll`, writes them again"
MAKING = "its release is being made"
SUPERSEDED = "Git asks for another release by now, which waits for its turn"


class Offer:
    """What the boxes of one store are offered. `stays`: of a fleet, box -> why it does not leave what it runs for what
    it is offered."""

    def __init__(self, store: Store, signer: Signer, journal: Journal, stays: Stays = lambda _: {}) -> None:
        self._store, self._signer, self._journal, self._stays = store, signer, journal, stays
        self._publisher = Publisher(store, signer)
        self._failed = self._left_without(store)
        self._names: dict[str, str] | None = None
        self._wipes: dict[str, str] = {}
        self._sites, self._labels = dict[str, str](), dict[str, list[str]]()
        self._permits: dict[str, dict[str, Json]] = {}

    @staticmethod
    def _left_without(store: Store) -> dict[str, str]:
        """The boxes for which the last pass before this process could make no release."""
        cannot = HoldReason.CANNOT_BE_OFFERED
        held = {box: hold.detail for box, hold in store.holds.all().items() if hold.reason is cannot}
        return {box: why for box, why in held.items() if not store.offers.candidates([box])} if held else {}

    def hold_at_once(self) -> None:
        """What an operator holds waits neither for Git nor for a long build."""
        operators = holds.operators(self._store)
        if operators:
            self._publisher.hold(lambda box: operators.get(box) or operators.get(holds.ALL, ""))

    def offered(self) -> Mapping[str, Target]:
        """What the published metadata offer."""
        return self._publisher.offered()

    def refresh(self) -> None:
        """Sign again what is due."""
        self._publisher.refresh()

    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the clock that dates signatures."""
        words = clock.warning(int(time.time()), self._publisher.signed)
        return (words,) if words else ()

    def begin(self, plan: Plan) -> None:
        """Boxes are made anew for what is deployed already: until each has its candidate, it is nobody's canary, also
        for a process after this one. (Candidates of a newer revision wait until that is deployed.) What is known of a
        box that could not be made stays: it would be told again with each pass."""
        self._failed = {step.subject: MAKING for step in plan.boxes} | self._failed
        self._store.holds.save({**self._store.holds.all(), **self._unmade()})

    def add(self, plan: Plan, made: Assembled, witness: Witness) -> None:
        """Sign what was assembled, as the box's candidate; not when it has this content, and only its key is new."""
        release, offers = made.release, self._store.offers
        key, old = plan.box_keys[release.box], offers.published(release.box)
        same = old is not None and old.release.content.digest == release.content.digest
        if old and same and release.box not in self._store.states.ahead() and self._store.whole(old):
            witness.attest(old)
            offers.save_published(old, key)
            offers.forget_candidate(release.box)
            self._failed.pop(release.box, None)
            return
        document = self._store.blobs.put(release.encode())
        boot = (self._store.blobs.put(self._signer.sign_boot(data)) for data in (made.uki, made.addon, made.loader))
        publication = Publication(release, plan.revision, document, *boot)
        witness.attest(publication)  # before it is a candidate: a box may ask for it as soon as it is offered
        offers.save_candidate(publication, key)
        self._failed.pop(release.box, None)
        layers = f"release {release.sequence} of {len(release.layers())} layers"
        self._journal.normal(Happened.ASSEMBLED, layers, release.box)

    def set_aside(self, fleet: Fleet, failed: Mapping[str, TowerosError]) -> None:
        """These boxes get no release of this commit, nor the candidate that an older one made for them.

        Raises:
            TowerosError: that is every box of the fleet: the first one's error.
        """
        if failed and failed.keys() == fleet.boxes.keys():
            self._failed = {box: why for box, why in self._failed.items() if why != MAKING}
            raise next(iter(failed.values()))
        self._failed = {box: error.message for box, error in failed.items()}
        for box in failed:
            self._store.offers.forget_candidate(box)
        if failed:  # before the others go: after a kill the next process has to know who proves nothing
            self._remember({**self._store.holds.all(), **self._unmade()})

    def _unmade(self) -> dict[str, Hold]:
        return {box: Hold(HoldReason.CANNOT_BE_OFFERED, why) for box, why in self._failed.items()}

    def renew(
        self, fleet: Fleet, revision: Revision, removed: Sequence[Step] = ()
    ) -> tuple[tuple[str, ...], dict[str, Hold]]:
        """Offer what may be taken now. Returns the boxes offered something new, and what holds the others."""
        places.remember(self._store, fleet)
        for step in removed:
            self._store.offers.forget_candidate(step.subject)
        waiting, self._wipes = self._store.offers.waiting(revision.sequence), wiping.orders(fleet)
        self._sites = {name: box.site[:HOLD_LENGTH] for name, box in fleet.boxes.items()}
        self._labels = {name: labels_of(box) for name, box in fleet.boxes.items()}
        permits = Permits(fleet, self._store, self._publisher)
        states, damaged = self._states() if waiting or self._failed or permits.given else ({}, {})
        waiting -= damaged.keys()
        suspended, again = holds.reasons(fleet, self._store), retries.reasons(fleet, self._store)
        facts = {box: rules.Facts.of(state, time.time()) for box, state in states.items()}
        facts = retries.forgiven(facts, again, self._store)
        apart = {*self._failed, *damaged, *on_media(self._store), *self._wipes}
        turns = Turns(fleet, revision, self._store)
        look = Look(states, waiting, suspended, facts, apart)
        decisions = permits.decide(turns, look)
        going, refused = self._offerable(waiting - _held(decisions).keys())
        if refused:  # one of them may have been somebody's canary
            going, more = self._offerable(waiting - refused.keys())
            refused |= more
            decisions = permits.decide(turns, Look(states, waiting, suspended, facts, {*apart, *refused}))
            going = [each for each in going if not isinstance(decisions[each.release.box], Hold)]
        # A box that cannot read the newer release may take the older one: it is its way there. Who runs what it is
        # offered has nothing to leave; the others must not move to what Git has left behind.
        late = (waiting & _held(decisions).keys()) | (self._failed.keys() & states.keys())
        outdated = {box: SUPERSEDED for box in late if not states[box].taken}
        told = {**self._stays(fleet), **outdated, **suspended}
        boxes = {each.release.box for each in going}
        self._permits = permits.members(boxes, decisions, look, told, int(time.time()))
        self._publish(going, removed, told, again)
        turns.remember()
        for each in going:
            box = each.release.box
            self._journal.normal(Happened.PUBLISHED, f"{each.revision}: {decisions[box]}", box)
        held = {box: Hold(HoldReason.SUSPENDED, reason) for box, reason in suspended.items()}
        held |= _held(decisions) | refused | damaged
        held |= self._unmade()
        self._remember(held)
        wiping.follow(self._store, fleet, int(time.time()))
        if (names := adopt(self._store, fleet, int(time.time()))) != self._names:
            self._publisher.name(names)
            self._names = names
        return tuple(each.release.box for each in going), held

    def _states(self) -> tuple[dict[str, BoxState], dict[str, Hold]]:
        """How the boxes are, and the holds of those of which that cannot be read: they prove nothing for others."""
        states = {state.name: state for state in self._store.states.all()}
        if lost := [box for box, state in states.items() if state.damaged]:
            for box in lost:
                self._store.mend(box)
            states = {state.name: state for state in self._store.states.all()}
        damaged = {box: state.damaged for box, state in states.items() if state.damaged}
        what = "its rows in the database are damaged"
        return states, {
            box: Hold(HoldReason.CANNOT_BE_OFFERED, f"{what}: {why}; {MEND}") for box, why in damaged.items()
        }

    def _publish(
        self,
        going: Sequence[Publication],
        removed: Sequence[Step],
        waits: Mapping[str, str],
        again: Mapping[str, tuple[str, ...]],
    ) -> None:
        """The signed metadata first, then what we remember of them."""
        gone = [step.subject for step in removed]
        starts = documents(self._store)
        of_git: Members = {WIPE: self._wipes, SITE: self._sites, LABELS: self._labels, NETBOOT: starts}
        self._publisher.members = {**of_git, **self._permits}
        self._publisher.publish(going, removed=gone, holds=waits, retries=again, judged=True)
        self._store.offers.promote(each.release.box for each in going)
        for step in removed:
            self._store.offers.forget_published(step.subject)
            self._journal.normal(Happened.REMOVED, step.reason, step.subject)

    def _offerable(self, boxes: Collection[str]) -> tuple[list[Publication], dict[str, Hold]]:
        """The candidates of these boxes that can be offered, and why the others cannot."""
        candidates, unread = self._candidates(boxes)
        refused = unread | self._publisher.refused(candidates)
        going = [each for each in candidates if each.release.box not in refused]
        return going, {box: Hold(HoldReason.CANNOT_BE_OFFERED, why) for box, why in refused.items()}

    def _candidates(self, boxes: Collection[str]) -> tuple[list[Publication], dict[str, str]]:
        """Those that can be read, and what is wrong with the others: they go, and the next pass makes them again."""
        try:
            return self._store.offers.candidates(boxes), {}
        except LeaseError:
            raise
        except Exception:
            read, unread = list[Publication](), dict[str, str]()
            for box in sorted(boxes):
                try:
                    read += self._store.offers.candidates([box])
                except Exception as caught:
                    unread[box] = f"what waits for it is damaged: {readable(caught).message}"
                    self._store.offers.forget_candidate(box)
            return read, unread

    def _remember(self, held: Mapping[str, Hold]) -> None:
        previous = self._store.holds.all()
        if held != previous:
            self._store.holds.save(held)
        for box, hold in held.items():
            if hold.reason == HoldReason.CANNOT_BE_OFFERED and previous.get(box) != hold:
                self._journal.warning(Happened.REFUSED, str(hold), box)


def _held(decisions: Mapping[str, rules.Decision]) -> dict[str, Hold]:
    return {box: each for box, each in decisions.items() if isinstance(each, Hold)}
