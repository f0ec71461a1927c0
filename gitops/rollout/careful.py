"""Of those that may take something new: who goes now. Waves, windows, neighbours, and never too many at once. Pure.

In: what the rules of canaries decided, how every box is, what fleet.yaml says, how far each wave was before. Out: the
same decisions, some of which became holds, and how far each wave is. Rules, for a box that has something to lose:

- It waits until its window is open, and nobody has frozen it.
- It waits for every wave before its own: until those that are heard are Healthy on what they are wanted to run, and
  for the soak from then on. Who is held, frozen, on a medium, silent or beside one who is silent holds up no wave; one
  in which nobody is heard does.
- Who cannot go now, whatever the others do, is no canary: all of a role would wait with it.
- Who never reported counts nowhere.
- More failures in a wave than it may have stop it, and all after it.
- It does not go while so many others of its fleet, site or label are busy, nor beside any of who may not go together:
  who is silent counts there.
- Silent boxes go last: when nobody who is heard waits any more. They count for nobody's number.
- What was offered stays offered. Whoever pauses a rollout keeps everybody from beginning.

    outcome = Going(fleet.boxes, fleet.policy.careful).settle(decisions, wanted, facts, Before(waves), now)
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gitops.model import Box, Health, Hold, HoldReason
from gitops.model.digest import sha256
from gitops.model.rollout.waves import ANY, Careful, Steering, Wave, WaveState
from gitops.model.rollout.windows import calendar
from gitops.rollout.counting.standing import FLEET, SITE, Group, How, Standing
from gitops.rollout.rules import NOBODY, Decision, Facts, Take

REST = Wave("rest", failed=ANY, missing=ANY, degraded=ANY)
"""Who is in no wave of fleet.yaml goes after all of them."""
SILENT = "it is silent, and goes when nobody who is heard waits"
Clock = tuple[tuple[str, ...], tuple[str, ...], str]


@dataclass
class Outcome:
    """`until`: the next time at which the clock alone changes a decision; 0: it changes none."""

    decisions: dict[str, Decision]
    waves: list[WaveState] = field(default_factory=list)
    until: int = 0


@dataclass(frozen=True)
class Before:
    """What the last look found, and what operators said since."""

    waves: Sequence[WaveState] = ()
    steering: Steering = field(default_factory=Steering)

    def done(self, name: str, content: str) -> int:
        """Since when this wave had this content; 0: it did not yet. Who restarts after that begins nothing anew."""
        return next((each.done for each in self.waves if (each.name, each.content) == (name, content)), 0)


class Going:
    """The order and the groups of a fleet's boxes."""

    def __init__(self, boxes: Mapping[str, Box], careful: Careful) -> None:
        self._boxes, self._careful = boxes, careful
        self._order = {box: sha256(box.encode()) for box in boxes}
        self.waves = [*careful.waves, REST]
        self.wave = self._waves()
        self._members = defaultdict[int, list[str]](list)
        for box, number in sorted(self.wave.items()):
            self._members[number].append(box)
        self._limits = {key: share for key, share in careful.max_unavailable}
        keys = {*self._limits, *careful.never_together}
        self._groups = {name: tuple(self._groups_of(box, keys)) for name, box in boxes.items()}
        self._sizes = Counter(group for groups in self._groups.values() for group in groups)

    def _waves(self) -> dict[str, int]:
        """Box -> the first wave that has it."""
        left, found = dict(self._boxes), dict[str, int]()
        for number, wave in enumerate(self.waves):
            fit = sorted((name for name, box in left.items() if _fits(wave, box)), key=self._order.__getitem__)
            chosen = bool(wave.roles or wave.sites or wave.labels)
            most = (len(fit) if chosen else len(self._boxes)) * wave.percent / 100
            for name in fit[: max(round(most), 1)]:
                found[name] = number
                del left[name]
        return found

    def _groups_of(self, box: Box, keys: Collection[str]) -> Iterator[Group]:
        values = {**dict(box.labels), SITE: box.site, FLEET: "all"}
        return ((key, values[key]) for key in sorted(keys) if values.get(key))

    def in_order(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Those of an earlier wave are asked first for being a canary; then by name."""
        return {box: wanted[box] for box in sorted(wanted, key=lambda box: (self.wave[box], box))}

    def stuck(self, wanted: Mapping[str, str], facts: Mapping[str, Facts]) -> frozenset[str]:
        """Who may not begin until somebody says otherwise: frozen, or beside one who is silent."""
        down = defaultdict[Group, set[str]](set)
        for box in wanted:
            if facts.get(box, NOBODY).health == Health.MISSING:
                for group in filter(lambda group: not self.together(group), self._groups[box]):
                    down[group].add(box)
        frozen = {box for box in wanted if self._boxes[box].freeze}
        near = (box for box in wanted if down and any(down[each] - {box} for each in self._groups[box] if each in down))
        return frozenset(box for box in {*frozen, *near} if facts.get(box, NOBODY).published != wanted[box])

    def no_canaries(self, wanted: Mapping[str, str], facts: Mapping[str, Facts], now: float) -> frozenset[str]:
        """Those, and whose window is closed; and no silent one takes their place, for which they would wait when they
        may. Who was offered his stays the canary that he is."""
        clocks, outcome = dict[Clock, Hold | None](), Outcome({})
        begin = {box: facts.get(box, NOBODY) for box in wanted if facts.get(box, NOBODY).published != wanted[box]}
        closed = {box for box in begin if self._by_clock(self._boxes[box], clocks, outcome, now)}
        silent = {box for box, fact in begin.items() if fact.health == Health.MISSING}
        kept = self.stuck(wanted, facts) | closed
        roles = {self._boxes[box].role for box in kept - silent}
        return kept | {box for box in silent if self._boxes[box].role in roles}

    def settle(
        self,
        decisions: Mapping[str, Decision],
        wanted: Mapping[str, str],
        facts: Mapping[str, Facts],
        before: Before,
        now: float,
    ) -> Outcome:
        """Of each box that was to go, whether it does now."""
        state = Standing(self, decisions, wanted, facts)
        outcome = Outcome(dict(decisions))
        holds = self._holds_of_waves(state, before, outcome, int(now))
        going = [box for box, each in decisions.items() if each in (Take.CANARY, Take.PROVEN)]
        left, waits, clocks = list[str](), False, dict[Clock, Hold | None]()
        for box, each in decisions.items():  # his own reason says more than that he is no canary
            if isinstance(each, Hold) and each.reason == HoldReason.WAITS_FOR_CANARY:
                own = self._by_clock(self._boxes[box], clocks, outcome, now)
                outcome.decisions[box] = own or (state.no_room(box) if box in state.stuck else None) or each
        tried = {box: facts.get(box, NOBODY).tried for box in going}
        order = {box: (self.wave[box], tried[box], decisions[box] != Take.CANARY, self._order[box]) for box in going}
        for box in sorted(going, key=order.__getitem__):
            hold = self._by_clock(self._boxes[box], clocks, outcome, now) or holds[self.wave[box]] or state.no_room(box)
            if not hold and state.silent(box):
                left.append(box)
            elif hold:
                outcome.decisions[box] = hold
                waits |= not state.silent(box) and box not in state.stuck
            else:
                state.goes(box)
        for box in left:
            if hold := Hold(HoldReason.WAITS_FOR_ROOM, SILENT) if waits or state.untried(box) else state.no_room(box):
                outcome.decisions[box] = hold
            else:
                state.goes(box)
        return outcome

    def _by_clock(self, box: Box, clocks: dict[Clock, Hold | None], outcome: Outcome, now: float) -> Hold | None:
        """`clocks`: what was found already; many boxes have the same."""
        if box.freeze:
            return Hold(HoldReason.FROZEN, box.freeze)
        clock = box.windows, box.moratoria, box.timezone
        if clock not in clocks:
            times = calendar(*clock)
            closed = times.closed(now)
            clocks[clock] = Hold(HoldReason.WAITS_FOR_WINDOW, closed) if closed else None
            _sooner(outcome, times.opens(now) if closed else 0)
        return clocks[clock]

    def _holds_of_waves(self, state: "Standing", before: Before, outcome: Outcome, now: int) -> list[Hold | None]:
        """What keeps the boxes of each wave."""
        found = list[Hold | None]()
        hold = Hold(HoldReason.FROZEN, before.steering.paused) if before.steering.paused else None
        for number, wave in enumerate(self.waves):
            counts, content = state.counts(number), state.content(number)
            promoted = content in before.steering.promoted
            stopped = None if promoted else _too_many(wave, counts)
            found.append(hold or stopped)
            # A clock that was ahead when the wave was done would let it soak for years.
            since = min(before.done(wave.name, content), now) or (now if _done(counts) else 0)
            waits = None if promoted or not counts else _waits(wave, counts, since, now)
            if waits and since:
                _sooner(outcome, since + wave.soak)
            says = str(stopped or waits or "")
            outcome.waves.append(
                WaveState(wave.name, content, {str(kind): each for kind, each in counts.items()}, since, says)
            )
            hold = hold or stopped or waits
        return found

    def stopped(
        self, holds: Mapping[str, Hold], wanted: Mapping[str, str], facts: Mapping[str, Facts], steering: Steering
    ) -> dict[str, dict[str, How]]:
        """What the boxes of a wave have that stopped it -> the boxes that have it, and what."""
        state, found = Standing(self, holds, wanted, facts), dict[str, dict[str, How]]()
        for number, wave in enumerate(self.waves):
            hold = None if state.content(number) in steering.promoted else _too_many(wave, state.counts(number))
            if hold:
                found[f"wave {hold.detail}"] = {
                    box: kind for box, kind in state.trouble.items() if self.wave[box] == number
                }
        return found

    def members(self, number: int) -> list[str]:
        """By name."""
        return self._members[number]

    def role(self, box: str) -> str:
        return self._boxes[box].role

    def groups(self, box: str) -> tuple[Group, ...]:
        return self._groups[box]

    def most(self, group: Group) -> int | None:
        """How many of it at once; None: there is no such limit."""
        share = self._limits.get(group[0])
        return None if share is None else max(share.of(self._sizes[group]), 1)

    def together(self, group: Group) -> bool:
        return group[0] not in self._careful.never_together


def _fits(wave: Wave, box: Box) -> bool:
    if wave.boxes and box.name not in wave.boxes:
        return False
    labels = dict(box.labels)
    roles, sites = not wave.roles or box.role in wave.roles, not wave.sites or box.site in wave.sites
    return roles and sites and all(labels.get(key) == value for key, value in wave.labels)


def _too_many(wave: Wave, counts: Counter[How]) -> Hold | None:
    total = counts.total()
    for share, kind in ((wave.failed, How.FAILED), (wave.missing, How.MISSING), (wave.degraded, How.DEGRADED)):
        if counts[kind] > share.of(total):
            return Hold(HoldReason.WAVE_STOPPED, f"{wave.name}: {counts[kind]} {kind}, {share.of(total)} may be")
    return None


def _done(counts: Counter[How]) -> bool:
    return not (counts[How.WAITS] or counts[How.GOING]) and bool(counts[How.HEALTHY])


def _waits(wave: Wave, counts: Counter[How], since: int, now: int) -> Hold | None:
    """What keeps those after a wave that has boxes."""
    if not since:
        active = counts.total() - counts[How.SILENT]
        words = f"{wave.name}: {counts[How.HEALTHY]} of {active or counts.total()} are Healthy"
        return Hold(HoldReason.WAITS_FOR_WAVE, words if active else f"{words}, nobody is heard")
    if since + wave.soak <= now:
        return None
    until = f"{datetime.fromtimestamp(since + wave.soak, UTC):%Y-%m-%d %H:%M} UTC"
    return Hold(HoldReason.WAITS_FOR_WAVE, f"{wave.name}, which soaks until {until}")


def _sooner(outcome: Outcome, time: int) -> None:
    if time:
        outcome.until = min(outcome.until or time, time)
