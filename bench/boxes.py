"""A campaign: many boxes with the real agent's code take release after release, and at each one anything may go wrong.

In: how many boxes and releases, and a seed, which is printed: the same seed is the same campaign. Out: a line for each
release, a table, and exit code 1 unless nobody runs what he was not offered (wrong), everybody came to where he should
(stuck), and the memory of the agents' process is at the end what it was after a tenth of the releases (flat).

A box is a folder (tests/simulators/box.py), its server a real one on the loopback. Every tenth release says no to its
health check: everybody goes back, and takes the next one. What may go wrong, besides: a layer that arrives cut,
flipped, as noise or without an end; a server that takes no reports; power that fails at any change of the disk; an
agent that is started again; a memory that became garbage; a permission to restart that is taken back: it does not
restart then. Whoever used its permission up and still waits gets another.

    python bench/boxes.py                                  # hours: 1,000 boxes, 100 releases; `make soak`
    python bench/boxes.py --boxes 20 --releases 10 --seed 7
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "pkg" / "agent"))

from toweros_agent.loop import Agent
from toweros_agent.machine import State

from gitops.model import HealthCheck
from tests.simulators.box import SIGNED, Box, Made, make
from tests.simulators.power import cut_at
from tests.simulators.update_server import UpdateServer, endless, flipped, garbage, truncated

FIRST = 7
BAD_EVERY = 10
PERMISSIONS = 1_000_000
"""Numbers of permissions for one release: more than it takes."""
STEPS = 400
"""After so many steps of its agent a box is stuck."""
DAMAGE = {"cut": truncated, "flipped": flipped, "noise": garbage, "endless": endless}
FAULTS = ("none",) * 6 + ("deaf", "power", "power", "again", "memory", "frozen", *DAMAGE)
CHECKS = (HealthCheck("web", "http", "http://127.0.0.1:8080/"),)


@dataclass
class Found:
    """What a share of the boxes came to. `memory`: KiB after each release."""

    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)


def bad(sequence: int) -> bool:
    return (sequence - FIRST) % BAD_EVERY == BAD_EVERY - 1


def release(sequence: int) -> Made:
    uki = SIGNED + b"kernel %d" % (sequence // 5)
    return make(sequence, service=b"release %d " % sequence, uki=uki, probation=0, checks=CHECKS)


@dataclass
class Share:
    """Some boxes, and the server that they ask."""

    folder: Path
    boxes: int
    releases: int
    seed: int

    def run(self) -> Found:
        dice, found = random.Random(self.seed), Found()
        with UpdateServer("demo-1") as server, contextlib.redirect_stderr(io.StringIO()) as talk:
            homes = [self._box(number, server) for number in range(self.boxes)]
            for sequence in range(FIRST + 1, FIRST + 1 + self.releases):
                made = release(sequence)
                offering = Offering(server, made)
                for number, box in enumerate(homes):
                    fault = dice.choice(FAULTS)
                    found.faults[fault] += 1
                    story = f"seed {self.seed}, box {number}, release {sequence}, {fault}"
                    One(box, offering, found, story).live_through(fault, dice)
                talk.seek(0)
                talk.truncate()
                found.memory.append(resident())
                print(f"{self.folder.name}: release {sequence}, {found.memory[-1] >> 10} MiB", flush=True)
        return found

    def _box(self, number: int, server: UpdateServer) -> Box:
        folder = self.folder / str(number)
        folder.mkdir(parents=True)
        box = Box(folder, server.url, server.root)
        box.install(release(FIRST))
        return box


class Offering:
    """Nothing but this release: what was before is gone from the server, as after its collection. `lease`: the number
    of the permission that is signed with it."""

    def __init__(self, server: UpdateServer, made: Made) -> None:
        self.server, self.made, self.lease = server, made, made.sequence * PERMISSIONS
        server.files.clear()
        server.requests.clear()
        server.reports.clear()
        for root, data in made.blobs.items():
            server.add_layer(data, root)
        self.permit()

    def permit(self, **more: str) -> None:
        """Another permission than those before; with `stopped` it is none."""
        self.lease += 1
        apply = {"lease": self.lease, "until": int(self.server.date()) + 86400, **more}
        self.server.publish(self.made.document, self.made.uki, self.made.addon, custom={"apply": apply})


@dataclass
class One:
    """One box and one release."""

    box: Box
    offering: Offering
    found: Found
    story: str

    @property
    def made(self) -> Made:
        return self.offering.made

    @property
    def server(self) -> UpdateServer:
        return self.offering.server

    def live_through(self, fault: str, dice: random.Random) -> None:
        self._suffer(fault, dice)
        self.server.faults.clear()
        self.server.post_status = 204
        agent = self._settle()
        self.box.power_off()
        if agent is None:
            self.found.stuck.append(self.story)
        elif agent.boot.sequence not in self.box.bootable():
            self.found.wrong.append(f"{self.story}: what runs does not boot again")

    def _suffer(self, fault: str, dice: random.Random) -> None:
        if fault in DAMAGE:
            for path in [each for each in self.server.files if each.startswith("/layers/")]:
                self.server.faults[path] = DAMAGE[fault]
            self._some_steps(8)
        elif fault == "deaf":
            self.server.post_status = 503
            self._some_steps(8)
        elif fault == "power":
            disks = (self.box.disk, self.box.esp, self.box.root / "efivars")
            cut_at(dice.randrange(80), disks, lambda: self._settle() and None, vfat=self.box.esp)
        elif fault == "again":
            self._some_steps(dice.randrange(6))
        elif fault == "frozen":
            self._stay()
        elif fault == "memory":
            (self.box.disk / "state" / "memory.json").write_bytes(b"\0" * 99)

    def _stay(self) -> None:
        """It does not restart while its permission is taken back, and does once it has another."""
        self.offering.permit(stopped="frozen: ada: storm")
        agent = self._some_steps(12)
        if agent and agent.state == State.REBOOTING:
            self.found.wrong.append(f"{self.story}: it restarts without a permission")
        self.offering.permit()

    def _some_steps(self, count: int) -> Agent | None:
        agent = self.box.power_on()
        for _ in range(count):
            if agent is None or agent.state == State.REBOOTING:
                return agent
            self._step(agent)
        return agent

    def _settle(self) -> Agent | None:
        """Until it runs what is offered, or went back from what is bad. None: it never did."""
        agent = self.box.power_on()
        for _ in range(STEPS):
            if agent is None:
                return None
            if agent.state == State.REBOOTING:
                agent = self.box.power_on()
                continue
            if agent.state == State.IDLE and self._there(agent):
                return agent
            if self._waits():
                self.offering.permit()
            self._step(agent)
        return None

    def _waits(self) -> bool:
        """Whether its last report says that its permission is used up."""
        turn = json.loads(str(self.server.reports[-1]["report"])).get("turn", {}) if self.server.reports else {}
        return bool(turn.get("state") == "waiting" and turn["spent"] >= self.offering.lease)

    def _there(self, agent: Agent) -> bool:
        if bad(self.made.sequence):
            return agent.boot.sequence < self.made.sequence and "is held: health check web" in agent.error
        return agent.boot.sequence == self.made.sequence

    def _step(self, agent: Agent) -> None:
        running = agent.boot.sequence
        if bad(running) and not agent.trial:
            self.found.wrong.append(f"{self.story}: it kept the bad release {running}")
        if running > self.made.sequence:
            self.found.wrong.append(f"{self.story}: it runs {running}, which nobody offers")
        self.box.services.status = 500 if bad(running) else 200
        agent.step()


def resident() -> int:
    """KiB of this process in memory."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("VmRSS:")).split()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Boxes that anything happens to.")
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--releases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    said = parser.parse_args()
    print(f"seed {said.seed}: {said.boxes} boxes, {said.releases} releases, {said.jobs} processes", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="boxes-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    began = time.monotonic()
    each = [said.boxes // said.jobs + (job < said.boxes % said.jobs) for job in range(said.jobs)]
    shares = [
        Share(folder / str(job), boxes, said.releases, said.seed + job) for job, boxes in enumerate(each) if boxes
    ]
    try:
        with Pool(said.jobs) as pool:
            found = pool.map(Share.run, shares, chunksize=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return told(found, time.monotonic() - began)


def told(found: list[Found], seconds: float) -> int:
    faults = sum((share.faults for share in found), Counter[str]())
    wrong, stuck = ([line for share in found for line in getattr(share, name)] for name in ("wrong", "stuck"))
    growth = max(share.memory[-1] / share.memory[len(share.memory) // 10] for share in found)
    print(f"updates {faults.total()} in {seconds:.0f} s; faults: {dict(sorted(faults.items()))}")
    print(f"wrong {len(wrong)}, stuck {len(stuck)}, memory at the end x {growth:.2f} of what it was after a tenth")
    print("\n".join([*wrong, *stuck][:20]))
    return int(bool(wrong or stuck) or growth > 1.2)


if __name__ == "__main__":
    sys.exit(main())
