"""What is to come is fetched before its turn: layers, and the files of the boot, proven and without a boot entry.

In: what the signed metadata say is next. Out: layers and a release document on the disk, boot files beside them under
their digests, `memory.early`. Rules: in pieces of ten minutes, between which the box hears what is asked of it; boxes
of a fleet begin one after the other; what goes wrong is told, tried again later, and costs the running release nothing;
a newer one takes the place of what was fetched, and what nobody asks for any more goes.
"""

import time
from hashlib import sha256

from toweros_agent import deadlines
from toweros_agent.machine import Event
from toweros_agent.nouns import Offer, Refused
from toweros_agent.offer.net import NetError
from toweros_agent.offer.update import Update

AGAIN = 600.0
"""Seconds until what failed is tried again."""


class Early:
    """`trouble`: why it is not here, "" when nothing is wrong; `aim`: what the next piece is for."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._heard: tuple[str, float] = ("", 0.0)
        self._again, self.trouble = 0.0, ""
        self.aim: Offer | None = None

    def coming(self) -> Offer | None:
        """What is to be here: what comes next, or else what is offered and may be taken. None: nothing is."""
        offer = self._update.offered
        candidates = (offer.next, offer) if offer else ()
        return next((each for each in candidates if each and self._update.takes(each)), None)

    def _sweep(self) -> None:
        """What was fetched goes where nothing is to come, and the box is as it is asked to be."""
        update = self._update
        offer = update.offered
        if update.history.memory.early and offer and not offer.next and offer.content == update.upkeep.running.content:
            update.kept.forget()
            update.upkeep.chore("collect", update.upkeep.collect)

    def due(self) -> bool:
        """Whether a piece is to be fetched now, which is `aim` then."""
        self.aim, coming, now = None, self.coming(), time.monotonic()
        if self._update.upkeep.taking != Event.TAKE:  # without a disk there is nowhere to keep it
            return False
        if not coming:
            self._sweep()
        if not coming or self._update.kept.release(coming):
            self.trouble = ""
            return False
        if self._heard[0] != coming.release.sha256:
            self._heard, self._again, self.trouble = (coming.release.sha256, now), now, ""
            if coming.spread:
                whose = sha256(f"{coming.release.path} {coming.release.sha256}".encode()).digest()
                self._again += int.from_bytes(whose[:4]) % coming.spread
        if now >= self._again:
            self.aim = coming
        return self.aim is not None

    def bring(self) -> bool:
        """One piece of it. False: nothing is due."""
        aim, self.aim, began = self.aim, None, time.monotonic()
        if not aim:
            return False
        try:
            with self._update.http.at_most(deadlines.EARLY):
                self._fetch(aim)
            self.trouble = ""
        except (NetError, Refused, OSError) as error:
            if isinstance(error, OSError) or time.monotonic() - began < deadlines.EARLY - 1:
                self.trouble, self._again = str(error), time.monotonic() + AGAIN
                self._update.history.log(f"release {aim.sequence} is not fetched: {error}")
        return True

    def _fetch(self, offer: Offer) -> None:
        """Layers as ever, and the files of the boot under their digests, where `Update.stage` finds them."""
        update = self._update
        release, downloads = update.bring(offer), update.disk.state
        boot = [target for target in (offer.uki, offer.addon) if not update.esp.find(target)]
        update.disk.demand(sum(target.length for target in boot))
        last = {offer.addon: update.esp.addon(update.history.boot.sequence)}
        for target in boot:
            path = update.fetcher.target(target, downloads / f"{target.sha256}.part", last.get(target))
            if target is offer.uki and update.upkeep.keyring.refuses(path):
                raise Refused("uki.efi is signed by no certificate that is in the firmware's db")
        update.history.memory.fetched |= update.cost()
        update.kept.keep(release)
        update.history.log(f"release {offer.sequence} is here before its turn")
