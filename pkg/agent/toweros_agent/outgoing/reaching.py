"""Is the server there, and can this release verify what it offers? Else it could never be replaced.

In: what is offered, the reporter. Out: yes, or why not. Rules: anybody on the way can answer, and repeat what was
signed yesterday; so what counts is a timestamp that holds now, and the server's signature over the digest of the report
that was just sent. Of a box that never reached it, and was updated by a bundle: that the bundle is believed again. The
server alone does not prove a network that has several ways out (wiring/ways.py).
"""

import time
from collections.abc import Callable

from toweros_agent import deadlines
from toweros_agent.nouns import Refused
from toweros_agent.offer.net import NetError
from toweros_agent.offer.update import Update
from toweros_agent.report import Report, Reporter


class Reach:
    """`why` is what the last try ended with, "" when nothing was wrong."""

    def __init__(
        self, update: Update, reporter: Reporter, tell: Callable[[], Report], lost: Callable[[], str] = str
    ) -> None:
        self.update, self.reporter, self.tell, self.lost, self.why = update, reporter, tell, lost, ""

    def __call__(self) -> bool:
        try:
            with self.reporter.http.at_most(deadlines.TRIAL_LOOK):
                self.update.look_closely()
                self.reporter.receipts = self.update.receipts
                began = time.monotonic()
                self.why = self.reporter.send(self.tell())
        except (NetError, Refused, OSError) as error:
            self.why = str(error)
            return False
        if lost := self.lost():
            self.why = lost
            return False
        if self.update.by_bundle_alone:
            return True
        return not self.reporter.receipts or self.reporter.reached >= began
