"""The way of an offer onto the disk: look, fetch, stage.

Whatever is wrong on the way raises `Refused`, `NetError` or `OSError`: the box stays as it was. The entry gets its
bootable name last, when all that it needs was read back.
"""

import contextlib
import time
from collections.abc import Callable

from toweros_agent import deadlines, rules
from toweros_agent.history import History
from toweros_agent.host.esp import Esp
from toweros_agent.nouns import MAX_RETRIES, Entry, Json, Offer, Refused, Release, Staged
from toweros_agent.offer.carried import Carried
from toweros_agent.offer.fetch import Fetcher
from toweros_agent.offer.kept import Kept
from toweros_agent.offer.net import NetError
from toweros_agent.offer.provenance import Provenance
from toweros_agent.offer.trust import Trust
from toweros_agent.upkeep.disk import Upkeep

AWAY = 3 * 86400
"""Seconds between the newest timestamp that the server gave and a bundle's, from which on there is no line: a new one
is signed each day, so the server was silent for two at least."""


class Update:
    """What is offered to the box, and the release that is on its way."""

    def __init__(
        self, trust: Trust, provenance: Provenance, fetcher: Fetcher, esp: Esp, history: History, upkeep: Upkeep
    ) -> None:
        self.trust, self.provenance, self.fetcher = trust, provenance, fetcher
        self.esp, self.history, self.upkeep = esp, history, upkeep
        self.disk, self.http, self.kept = fetcher.disk, fetcher.http, Kept(fetcher, history)
        self._offer: Offer | None = None
        self._candidate: Release | None = None
        self._began: tuple[float, int] | None = None
        self.served = self.from_bundle = False
        """Whether the server was reached since the agent began; whether the offer is a bundle's. `refusals`: why no
        bundle counts that is there."""
        self._stamp, self.refusals = b"", ""

    def look(self, *, afresh: bool = False, settled: bool = False) -> Offer:
        """What is asked of the box now. `afresh`: "nothing new" is not believed, as nobody signs that. `settled`: what
        runs is blessed, so that systemd-boot may follow."""
        now = int(time.time())
        with self.http.at_most(deadlines.LOOK):
            try:
                if afresh or self.trust.changed() or self._offer is None or now > self._offer.expires:
                    self._learn(self.trust.offer, now, served=True)
                self.served, self.from_bundle, self.refusals = True, False, ""
            except NetError as error:
                self._open_bundle(error, now, afresh)
            assert self._offer
            running, loader = self.upkeep.running.content, self.upkeep.boot_loader
            loader.offered = bool(self._offer.loader) and not self._offer.held and self._offer.content == running
            if settled and (certificate := self.http.certificate):
                self.upkeep.chore("keep the host's certificate", lambda: self.upkeep.host_key.keep(certificate))
            if settled and loader.offered:
                self.upkeep.chore("renew systemd-boot", self._renew_loader)
        return self._offer

    def _learn(self, ask: Callable[[], Offer], now: int, *, served: bool = False) -> None:
        self._offer = None
        self._offer = ask()
        self.history.memory.served = self._offer.expires if served else self.history.memory.served
        self.history.learn(self._offer)
        self.history.prove_time(self._offer, now)
        self.upkeep.chore("remember", self.history.save)

    def _open_bundle(self, away: NetError, now: int, afresh: bool) -> None:
        """The server is away: what a bundle says counts, if there is one. Raises `away`, or why the bundle does not."""
        carried = self.http.carried
        media, self.refusals = carried.media() if carried else [], ""
        if not carried or not media:
            raise away
        reasons = []
        for medium in media:
            try:
                carried.chosen = medium
                carried.check(medium)
                return self._believe(carried, now, afresh)
            except (NetError, Refused) as error:
                reasons.append(f"the bundle in {medium.name} is refused: {error}")
        carried.chosen, self.refusals = None, "; ".join(reasons)
        raise Refused(f"the server is away ({away}), and {self.refusals}")

    def _believe(self, carried: Carried, now: int, afresh: bool) -> None:
        """What the chosen bundle says counts from now on. Raises why it does not."""
        stamp = self.trust.stamp(carried)
        known = self.from_bundle and self._offer and stamp == self._stamp and now <= self._offer.expires
        if afresh or not known:
            self._learn(self.trust.carried, now)
        self.from_bundle, self._stamp = True, stamp

    @property
    def offered(self) -> Offer | None:
        """What the last look found."""
        return self._offer

    @property
    def by_bundle_alone(self) -> bool:
        """Nobody reached the server before this release came from a bundle, and a bundle can replace it again: that is
        as reached as it was (ADR 74)."""
        staged = self.history.memory.staged.get(self.history.boot.sequence)
        return self.from_bundle and not self.served and bool(staged and staged.alone)

    def alone(self, offer: Offer) -> bool:
        """Whether this box has no line: its server was not there since it was started, and by what is signed, which
        no clock of ours moves, it has been away for days. A box that was started in an outage waits for its end."""
        last = self.history.memory.served
        return self.from_bundle and not self.served and (not last or offer.expires - last >= AWAY)

    def _renew_loader(self) -> None:
        """Where the ESP has another one than the release. No other offer waits for it. Raises `OSError`."""
        target = self._offer.loader if self._offer else None
        if not target or not (boot_loader := self.upkeep.boot_loader).due():
            return
        try:
            self.esp.demand(target.length)
            boot_loader.bring(self.fetcher.target(target, self.disk.state / "offered-loader.efi"))
        except (NetError, Refused) as error:
            boot_loader.problem = f"systemd-boot stays as it is: {error}"

    @property
    def receipts(self) -> str:
        """The key of the server's receipts, as the last look had it."""
        return self._offer.receipts if self._offer else ""

    def held(self) -> str | None:
        """Why the offer is not taken now; None: it is. Raises `Refused`."""
        assert self._offer
        return self._decide(self._offer)

    def _decide(self, offer: Offer) -> str | None:
        memory = self.history.memory
        retried, cut = memory.retried.get(offer.content, ()), memory.cut(offer.content)
        return rules.decide(offer, self.upkeep.running, memory.failures, int(time.time()), retried, cut)

    def takes(self, offer: Offer) -> bool:
        """Whether nothing but its turn keeps the box from it."""
        with contextlib.suppress(Refused):
            return self._decide(offer) is None
        return False

    def mend(self) -> None:
        """Bring a boot file that the ESP should have and no place here has, where it is still offered."""
        lost = self.upkeep.entries.lost.keys() - self.upkeep.entries.refused
        for name, target in (("uki.efi", self._offer.uki), ("addon.efi", self._offer.addon)) if self._offer else ():
            if target.sha256 in lost:
                with self.http.at_most(deadlines.LOOK):
                    self.fetcher.target(target, self.disk.state / name)
                self.upkeep.restore()

    def look_closely(self) -> None:
        """What is asked of the box now, and that it could take it: it is from a builder whom this release believes."""
        self.provenance.release(self.look(afresh=True))

    def fetch(self) -> None:
        """Bring every layer that the disk lacks, and the release document; nothing, where they came before its turn."""
        assert self._offer
        self._began = None
        self._candidate = self.kept.release(self._offer) or self.bring(self._offer)

    def bring(self, offer: Offer) -> Release:
        """All layers of it, and its document. Raises `Refused`, `NetError`, `OSError`."""
        self._began = (time.monotonic(), self.http.received)
        self.fetcher.deltas = 0
        self.http.sources.clear()
        path = self.fetcher.document(offer.release, self.history.boot.release)
        release = Release.parse(data := path.read_bytes())
        check(release, offer, self.history.boot.box)
        self.provenance.release(offer)
        self.provenance.layers(self.fetcher.missing(release))
        self.kept.replaced_by(release, offer)
        self.upkeep.chore("collect", lambda: self.upkeep.collect(release))
        self.esp.demand(offer.uki.length + offer.addon.length)
        roots = [layer.root for layer in self.fetcher.release_layers(release, self.upkeep.running)]
        self.disk.add_release(data, release)
        self.history.memory.fetched = {"layers": roots, "deltas": self.fetcher.deltas, "repaired": 0}
        return release

    def cost(self) -> Json:
        """Of what was brought last: bytes and seconds."""
        seconds, received = self._began or (time.monotonic(), self.http.received)
        return {"bytes": self.http.received - received, "seconds": int(time.monotonic() - seconds)}

    def stage(self, waits: Callable[[], bool] = lambda: False) -> bool:
        """Make what was fetched bootable. False: it was held or replaced meanwhile, or is not to be taken yet."""
        assert self._offer and self._candidate
        offer, memory, downloads = self._offer, self.history.memory, self.disk.state
        if self._outdated(offer):
            return False
        addon = self.fetcher.target(offer.addon, downloads / "addon.efi", self.esp.addon(self.history.boot.sequence))
        uki = self.esp.find(offer.uki) or self.fetcher.target(offer.uki, downloads / "uki.efi")
        if self.upkeep.keyring.refuses(uki):
            raise Refused("uki.efi is signed by no certificate that is in the firmware's db")
        self.esp.demand(offer.uki.length + offer.addon.length)
        if waits():
            return False
        self.disk.forget(offer.sequence)
        self.esp.stage(offer.sequence, uki, addon)
        which = (offer.sequence, self._candidate.digest, offer.content, offer.uki.sha256, offer.addon.sha256)
        staged = memory.staged[offer.sequence] = Staged(*which, alone=self.alone(offer))
        used = memory.retried.pop(offer.content, [])
        if {*offer.retry} - {*used}:  # forgiven for good: this try may end without a verdict
            memory.failures[:] = [each for each in memory.failures if each.content != offer.content]
        if used or offer.retry:
            memory.retried[offer.content] = [*dict.fromkeys((*used, *offer.retry))][-2 * MAX_RETRIES :]
        memory.fetched |= self.cost() if self._began else {}
        memory.fetched["from"] = sorted(self.http.sources)
        memory.early, memory.vetoed = "", 0
        memory.spent = max(memory.spent, self._offer.apply.lease if self._offer.apply else 0)
        self.history.save()
        self.upkeep.keep_way_back(Entry(offer.sequence, left=1))
        self.esp.publish(staged)
        self.history.log(f"staged release {offer.sequence}")
        return True

    def _outdated(self, offer: Offer) -> bool:
        """Was it held or replaced while it was fetched? That takes hours on a thin line. Nobody there: it was not."""
        with contextlib.suppress(NetError):
            fresh = self.look()
            return fresh.release != offer.release or bool(fresh.held)
        return False


def check(release: Release, offer: Offer, box: str) -> None:
    """Raises `Refused` when the document is not the one that the metadata speaks of."""
    if release.box != box:
        raise Refused(f"release.json is for {release.box}, not for {box}")
    if (release.sequence, release.content) != (offer.sequence, offer.content):
        raise Refused("release.json has another sequence or content than its metadata says")
