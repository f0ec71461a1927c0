"""One run of security updates: what is newer is chosen, fetched, tried where nobody will look first, and offered.

In: the deployed revision and its fleet, mirrors, registries, what is remembered. Out: commits that touch locks alone,
signed by the controller's own key. Rules:

- All stands on the deployed commit. What goes out by itself goes on top of it alone: a branch that is ahead is waited
  for, so that we never vouch for what somebody else put there.
- Every new file is fetched, and has the bytes that the signed lists say, before anything is committed.
- What goes out by itself is built first. What does not build is held; the others go.
- What the next pass would refuse is not pushed: it would block the branch until somebody rewrote it. The others go.
- A run can be stopped anywhere: what is pushed is remembered before it is, and the next run finds it.

    outcome = Run(desk, Window.packages, fleet, revision).go()
"""

import time

import structlog

from gitops.builders.apt import Apts, related
from gitops.builders.relocking.relock import Relocker
from gitops.errors import TowerosError
from gitops.model import EventType, Fleet, Happened, LockedFile, Revision, canonical, sha256
from gitops.model.updates.patching import Patching, Proposal, Window
from gitops.security.schedule.choice import Facts, by_itself, merges, ripe_at
from gitops.security.schedule.knowledge import mended, unsure
from gitops.source.clone.pushing import PushClone
from gitops.store.files.blobs import Blobs
from gitops.workflows.updates.desk import Desk
from gitops.workflows.updates.gate import Refusals, RefusedError
from gitops.workflows.updates.images.survey import Joined, Watch, boxes_pull
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.pulls import Base, Pulls, is_pull
from gitops.workflows.updates.survey import Parcel, Survey
from gitops.workflows.updates.tagging import make_up, sealed
from gitops.workflows.updates.tries import Tries
from gitops.workflows.updates.ways.stack import Stack

log = structlog.get_logger(__name__)


class WaitsError(TowerosError):
    """Nothing is wrong, but it is not the time: it is tried again soon."""


class Run:
    """One run of one schedule."""

    def __init__(self, desk: Desk, window: Window, fleet: Fleet, revision: Revision) -> None:
        self._desk, self._window, self._fleet, self._revision = desk, window, fleet, revision
        assert fleet.policy.security
        self._patching: Patching = fleet.policy.security
        self._memory = Memory(desk.store, desk.clock)
        self._now = int(desk.clock())
        self._problems, self._refusals = list[str](), Refusals()
        self._soaking = 0

    def go(self) -> str:
        """Do it. Returns what came of it, one line.

        Raises:
            WaitsError: the branch is ahead of what is deployed. TowerosError: the remote, the mirrors or the forge is
                away; what was offered stays offered.
        """
        clone = self._desk.clone()
        branch = self._fleet.policy.branch or clone.heads().default
        head = self._desk.listen(lambda: clone.fetch(branch))
        if head != self._revision.commit and (by_itself(self._patching) or not clone.has(self._revision.commit)):
            if made := make_up(self._desk, clone, self._memory, self._fleet, self._revision, head):
                return f"{head[:12]} is released as {made}"
            hint = "they are waited for: deploy them, or tag them where tags deploy"
            raise WaitsError(f"{branch} has commits that are not deployed", hint=hint)
        base = Base(branch, self._revision.commit, self._now)
        relocker = self._relocker(clone)
        off = self._window is not Window.packages
        files = clone.files(self._revision.commit)
        self._watch = Watch(self._desk.settings, files, boxes_pull(self._fleet), off=off)
        stamp = self._stamp(relocker)
        if stamp == self._memory.patches.looked.get(self._window):
            return "nothing new"
        held = self._memory.patches.held.keys()
        outcome, done = self._offer(clone, base, relocker)
        if not done and self._memory.patches.held.keys() != held:  # what failed together is tried apart
            outcome, _ = self._offer(clone, base, relocker)
        if not self._soaking and not self._problems:
            self._memory.looked(self._window, self._stamp(relocker))
        if self._problems:
            raise TowerosError("; ".join(self._problems), hint="; ".join([outcome, *self._refusals.hints]))
        return outcome

    def _relocker(self, clone: PushClone) -> Relocker:
        tree, blobs = clone.files(self._revision.commit), self._desk.store.blobs
        apts = Apts(self._desk.settings.state / "apt")
        return Relocker(apts, tree, self._fleet.packages, lambda file: _control(blobs, file))

    def _stamp(self, relocker: Relocker) -> str:
        """While it stays, a run finds what the last one found."""
        patches = self._memory.patches
        mirrors = self._desk.listen(lambda: relocker.stamp)
        tags = self._desk.listen(lambda: self._watch.stamp)
        words = [mirrors, self._revision.commit, repr(self._patching), self._desk.knowledge.stamp]
        return sha256(canonical([*words, sorted(patches.held), *tags]))

    def _offer(self, clone: PushClone, base: Base, relocker: Relocker) -> tuple[str, list[str]]:
        self._soaking, self._problems, self._refusals = 0, [], Refusals()
        facts, survey = self._survey(relocker)
        if by_itself(self._patching):
            done = self._stack(clone, base, survey, facts)
        else:
            done = self._propose(clone, base, survey, facts)
        self._problems += [*survey.problems, *self._refusals.problems]
        for move, why in survey.left:
            log.info("security.left", update=str(move), why=why)
        held = f", {len(survey.left)} left" if survey.left else ""
        waiting = f", {self._soaking} waiting" if self._soaking else ""
        return f"{len(done)} of {len(survey.found)} updates offered{waiting}{held}", done

    def _survey(self, relocker: Relocker) -> tuple[Facts, Joined]:
        before, after = self._desk.listen(lambda: (relocker.told(relocker.locks), relocker.told(relocker.newest())))
        first = Survey(relocker, self._patching, self._window, Facts(self._now))
        patches = self._memory.see((*self._watch.seen, *first.found))
        today = time.strftime("%Y-%m-%d", time.gmtime(self._now))
        fixed = mended(before, after, self._desk.knowledge, self._fleet.statements, today)
        doubts = unsure(before, after, self._desk.knowledge)
        facts = Facts(self._now, self._desk.knowledge.known, fixed, patches.seen, patches.held, doubts)
        packages = Survey(relocker, self._patching, self._window, facts)
        return facts, Joined(packages, self._watch.survey(self._patching, facts))

    @property
    def _own_windows(self) -> set[Window]:
        """The schedule that runs, and those that there are no more."""
        return {self._window, *(set(Window) - self._patching.windows().keys())}

    def _tries(self, clone: PushClone, base: Base) -> Tries:
        return Tries(self._desk, clone, (self._fleet, self._revision), base, self._problems)

    def _stack(self, clone: PushClone, base: Base, survey: Joined, facts: Facts) -> list[str]:
        if any(map(is_pull, self._memory.patches.proposals.values())):  # from before this was said otherwise
            Pulls(clone, self._desk.forge, self._memory, base).retire(self._own_windows)
        stack = Stack(self._tries(clone, base), self._window, self._refusals)
        done = stack.go(survey, facts)
        self._soaking = stack.waiting
        return done

    # --- by pull request ---------------------------------------------------------------------------------------------

    def _propose(self, clone: PushClone, base: Base, survey: Joined, facts: Facts) -> list[str]:
        pulls, tries = Pulls(clone, self._desk.forge, self._memory, base), self._tries(clone, base)
        parcels = self._desk.listen(survey.parcels)
        offered, names = list[str](), [*survey.stays]
        for parcel in parcels:
            names.append(parcel.name)
            before, proposal = self._memory.patches.proposals.get(parcel.name), None
            with tries.here(parcel):
                proposal = pulls.offer(parcel, self._window) if tries.fetch(parcel) else None
            if proposal is None:
                continue
            offered += [move.source for move in parcel.moves]
            if proposal.note:
                self._problems.append(f"{proposal.ref}: {proposal.note}")
            elif before is None or before.moves != proposal.moves:
                words = ", ".join(map(str, parcel.moves))
                self._desk.say(
                    EventType.NORMAL, Happened.PROPOSED, f"{proposal.ref.removeprefix('refs/heads/')}: {words}"
                )
            if merges(parcel.updates, self._patching) and not proposal.note:
                self._soaking += 1
                if ripe_at(parcel.updates, self._patching, facts) <= self._now and self._merge(
                    clone, base, parcel, proposal
                ):
                    break  # the others stand on the new head, in the next run
        else:
            pulls.retire(self._own_windows, names)
        return offered

    def _merge(self, clone: PushClone, base: Base, parcel: Parcel, proposal: Proposal) -> bool:
        """A ripe proposal becomes the branch's head: the forge sees that its pull request is merged."""
        if clone.fetch(base.branch) != base.commit:
            return False
        if not clone.has(proposal.pushed):  # this clone is newer than the proposal
            clone.fetch(proposal.ref.removeprefix("refs/heads/"))
        try:
            sealed(self._desk, clone, base.branch, proposal.pushed)
        except RefusedError as error:
            self._refusals.add(parcel.name, error)
            return False
        tries, built = self._tries(clone, base), False
        with tries.here(parcel):
            built = tries.builds(parcel, proposal.pushed)
        if not built:
            return False
        clone.push(f"refs/heads/{base.branch}", proposal.pushed, base.commit)
        self._desk.say(EventType.NORMAL, Happened.PROPOSED, f"merged {', '.join(map(str, parcel.moves))}")
        return True


def _control(blobs: Blobs, file: LockedFile) -> dict[str, str] | None:
    """What a locked file that was fetched once says of others."""
    if not blobs.has(file.sha256):
        return None
    from debian.debfile import DebFile

    return related(dict(DebFile(str(blobs.path(file.sha256))).debcontrol()))
