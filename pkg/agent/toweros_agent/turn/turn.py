"""Whose turn it is, as this box sees it: does it restart now, what is it waiting for, and what does it say of that?

In: the offer with its permission, the proven time, the veto of its services. Out: why not now, and the member `turn` of
the report. Rules: a permission that is not used any more is written down before that is said: the controller gives the
turn to others then (ADR 92). An offer without one is taken at once, as ever.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from toweros_agent.history import History
from toweros_agent.machine import Event, State
from toweros_agent.nouns import Json, Offer
from toweros_agent.offer.update import Update
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places
from toweros_agent.turn.early import Early
from toweros_agent.turn.rules import TIME, Answer, judge, without_line
from toweros_agent.turn.veto import DEFAULT, Veto

KNOWS = 1
MOMENT, MOMENTS = 1.0, 3
"""Seconds, and how often in a boot: a server whose receipts never come is not asked each second."""


class Turn:
    """Of one boot."""

    def __init__(self, places: Places, history: History, update: Update, reporter: Reporter) -> None:
        self._history, self._update, self._reporter = history, update, reporter
        self._veto, self.early = Veto(places, history), Early(update)
        self._state, self._why, self._moments = "", "", 0

    def keeps(self, held: str | None, now: Callable[[], str | None]) -> str | None:
        """Why the box stays as it is, "" where nobody need know; None: it goes. `held`: why it does not take its
        offer; `now`: what else keeps it for a moment. Raises `OSError`."""
        if held is not None:
            self._refuses()
            return held
        if (why := now()) is not None:
            return why
        return "" if self.waits() else None

    def then(self, held: str) -> Event | None:
        """What there is to do for a box that stays, by `held` as `keeps` said it."""
        if self.early.due():
            return Event.TAKE
        quiet = not held and not self._state
        return Event.TRY_LOADER if quiet and self._update.upkeep.try_loader() else None

    def waits(self) -> bool:
        """Whether the box stays as it is for now, though nothing keeps it from what it is offered. Raises `OSError`."""
        offer = self._update.offered
        answer, permission = self._answer(offer), offer.apply if offer else None
        self._state, self._why = ("waiting", answer.why) if answer.why else ("", "")
        if answer.over > self._history.memory.spent:
            self._spend(answer.over)
        if answer.why:
            self._veto.rests()
            return True
        held = self._veto.holds(permission.veto if permission else DEFAULT, self._now() or int(time.time()))
        if held:
            self._state, self._why = "held", held
        return bool(held)

    def _refuses(self) -> None:
        """It does not go, permission or not: held, or it went back from there. So others may. Raises `OSError`."""
        offer, (self._state, self._why) = self._update.offered, ("", "")
        self._veto.rests()
        if offer and offer.apply and offer.apply.lease > self._history.memory.spent:
            self._spend(offer.apply.lease)

    def _answer(self, offer: Offer | None) -> Answer:
        if not offer or not offer.apply:
            return Answer()
        if self._update.alone(offer):
            return without_line(offer.apply, int(time.time()))
        return judge(offer.apply, self._now(), self._history.memory.spent)

    def _now(self) -> int | None:
        return self._reporter.proof.now(self._history.memory.time, receipts=bool(self._reporter.receipts))

    def _spend(self, lease: int) -> None:
        """From here on it is not used, whatever happens: so others may go."""
        memory = self._history.memory
        before, memory.spent = memory.spent, lease
        try:
            self._history.save()
        except OSError:
            memory.spent = before
            raise

    def pause(self, poll: float) -> float:
        """Seconds until the next look: a moment, where only the receipt of a report is missing, and a few times."""
        if self._why != TIME or self._moments >= MOMENTS:
            return poll
        self._moments += 1
        return MOMENT

    def told(self, report: Report) -> Report:
        """The report, with what is to come and what that waits for."""
        return replace(report, turn=self._said(at_rest=report.phase in (State.IDLE, State.FETCHING)))

    def _said(self, *, at_rest: bool) -> Json:
        memory = self._history.memory
        said: Json = {"knows": KNOWS, "spent": memory.spent}
        coming = self.early.coming() if at_rest else None
        if coming is None:
            return said
        fetches = self._update.upkeep.taking == Event.TAKE
        here = memory.early == coming.release.sha256 or not fetches
        state, why = (self._state, self._why) if coming is self._update.offered else ("", "")
        if not here and state != "held":
            state, why = ("failed", self.early.trouble) if self.early.trouble else ("fetching", "")
        if not (state or fetches):  # a box without a disk has nothing beforehand
            return said
        said |= {"state": state or "staged", "sequence": coming.sequence}
        until = self._veto.ends if state == "held" else 0
        more = {"why": why or self._veto.over, "until": until, "vetoed": memory.vetoed // 300 * 300}
        return {**said, **{name: each for name, each in more.items() if each}}
