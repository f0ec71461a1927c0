"""Who logs in to a box is not asked whether its host is known: the real sshd, ssh and start script of a box.

The box's own reporter names the host key, the server hands the certificate back, and the fleet's line is all that the
operator has in known_hosts.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from toweros_agent.machine import State
from toweros_agent.offer.net import Http
from toweros_agent.outgoing.host_key import HostKey
from toweros_agent.outgoing.identity import Identity
from toweros_agent.outgoing.rows import Health
from toweros_agent.report import Report, Reporter

from gitops.fleet import load_fleet
from gitops.model import Fleet
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.sign import commits, ssh
from gitops.store.notes.box_keys import HostCertificate
from gitops.workflows.enrolment.host_keys import certify, hosts
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.published import Kit, kit

CHECKOUT = Path(__file__).parents[3]
WELL = Report(1, "0" * 64, "0" * 64, State.IDLE, Health.HEALTHY, "", 0, 0, "toweros-1.efi", [], [], {}, [])
NAME, OTHER = "one", "two"
NOW = int(time.time())


@dataclass
class Machine:
    """One box: STATE, TOWEROS, what sshd and the agent of a boot do with them."""

    folder: Path
    url: str
    here: Kit
    port: int = 0

    def __post_init__(self) -> None:
        for name in ("state", "disk/identity", "esp/EFI", "run"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "boot_id").write_text("b\n")
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        identity = Identity(self.folder / "disk" / "identity", self.folder / "esp")
        self.reporter = Reporter(Http(lambda: None, time.sleep), self.url, NAME, identity, self.folder / "boot_id")
        self.here.store.boxes.enroll(NAME, identity.public)

    @property
    def host_key(self) -> HostKey:
        return HostKey(self.folder / "state", self.folder / "disk" / "identity")

    def sshd(self) -> "subprocess.Popen[bytes]":
        """The script of a box, with a box's folders here, and less patience."""
        text = (CHECKOUT / "pkg" / "sshd" / "files" / "usr" / "bin" / "start-sshd").read_text()
        config = self.folder / "sshd_config"
        config.write_text(f"UsePAM no\nPasswordAuthentication no\nInclude {self.folder}/run/*.conf\n")
        text = text.replace("/state", f"{self.folder}/state").replace("/run/toweros/disk", f"{self.folder}/disk")
        text = text.replace("/run/sshd/certificate", f"{self.folder}/run/certificate")
        text = text.replace("sshd -D -e", f"sshd -D -e -f {config} -p {self.port} -o PidFile=none")
        script = self.folder / "start-sshd"
        script.write_text(text.replace("sleep 20", "sleep 0.2"))
        return subprocess.Popen(["sh", script], stderr=(self.folder / "sshd.log").open("wb"))

    def report(self) -> None:
        """What an idle agent does: a report with the host key, and what comes back is kept."""
        time.sleep(0.002)  # the counter is in milliseconds
        assert self.reporter.send(replace(WELL, ssh=self.host_key.public)) == ""
        self.host_key.keep(self.reporter.http.certificate)

    def answers(self, known: str, name: str = NAME) -> str:
        """What an operator sees who has these lines in known_hosts."""
        (self.folder / "known_hosts").write_text(known)
        words = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"HostKeyAlias={name}", "-F", "none"]
        words += ["-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}", "-o", "GlobalKnownHostsFile=none"]
        done = subprocess.run(
            ["ssh", "-p", str(self.port), *words, "nobody@127.0.0.1", "true"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stderr

    def known(self, known: str, *, name: str = NAME) -> bool:
        """Whether that comes to an end without a question; sshd takes a moment to read a new certificate."""
        return self.says("Permission denied", known, name)

    def strange(self, known: str, *, name: str = NAME) -> bool:
        return self.says("Host key verification failed", known, name)

    def says(self, words: str, known: str, name: str) -> bool:
        end = time.monotonic() + 30
        while words not in (said := self.answers(known, name)):
            if time.monotonic() > end:
                return bool(sys.stderr.write(said)) and False
            time.sleep(0.3)
        return True


@pytest.fixture
def fleet() -> Fleet:
    return load_fleet(TREE)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    here = kit(tmp_path / "kit")
    with serve(create_app(here.store, Settings(state=here.store.paths.root)), "127.0.0.1:0") as url:
        made = Machine(tmp_path / "box", url, here)
        daemon = made.sshd()
        try:
            assert made.strange("")
            yield made
        finally:
            daemon.kill()
            daemon.wait()


def lines(machine: Machine) -> str:
    """As `toweros keys ssh-ca` prints them for this box."""
    done = toweros("keys", "ssh-ca", machine.here.folder / "keys", "--hosts", NAME)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_box_is_known_before_it_was_seen_and_after_the_authority_was_rotated(machine: Machine, fleet: Fleet) -> None:
    store, keys = machine.here.store, machine.here.folder / "keys"
    machine.report()
    assert not machine.host_key.place.exists(), "nobody made one yet"
    certify(store, keys, fleet, NOW)
    first = lines(machine)
    machine.report()
    assert machine.strange("") and machine.known(first)
    assert machine.strange(first.replace(NAME, OTHER), name=OTHER), "it is not the other"

    before = store.notes.get(HostCertificate, NAME)
    certify(store, keys, fleet, NOW + 86400)
    assert store.notes.get(HostCertificate, NAME) == before, "nothing is due"
    assert toweros("keys", "rotate", "ssh-ca", keys).exit_code == 0
    both = lines(machine)
    assert first in both and both.count("@cert-authority") == 2 and machine.known(both), "away since"
    certify(store, keys, fleet, NOW)
    machine.report()
    (keys / "ssh-ca.old.pub").unlink()
    assert machine.known(lines(machine)) and machine.strange(first)


def test_what_is_not_for_this_very_key_is_not_kept(machine: Machine, fleet: Fleet, tmp_path: Path) -> None:
    keys = machine.here.folder / "keys"
    commits.make(tmp_path / "strange")
    strange = " ".join((tmp_path / "strange.pub").read_text().split()[:2])
    authority = ssh.HostAuthority.open(keys)
    for text in (
        authority.certify(strange, (NAME,), NOW),
        "",
        "ssh-ed25519-cert-v01@openssh.com " + "A" * 400,
        strange,
    ):
        machine.host_key.keep(text)
        assert not machine.host_key.place.exists(), text
    good = authority.certify(machine.host_key.public, (NAME,), NOW)
    machine.host_key.keep(good)
    assert machine.host_key.place.read_text() == good + "\n"
    shutil.rmtree(machine.folder / "state" / "ssh")
    assert machine.host_key.public == ""
    (machine.folder / "state" / "ssh").mkdir()
    (machine.folder / "state" / "ssh" / "ssh_host_ed25519_key.pub").write_bytes(b"\xff" * 2000)
    assert machine.host_key.public == "", "STATE is not verified: what is no key is not reported"


def test_names_keys_and_time_decide_when_another_certificate_is_made(
    machine: Machine, fleet: Fleet, tmp_path: Path
) -> None:
    store, keys = machine.here.store, machine.here.folder / "keys"
    commits.make(tmp_path / "a")
    key = " ".join((tmp_path / "a.pub").read_text().split()[:2])

    def made(now: int, wanted: Fleet = fleet) -> str:
        certify(store, keys, wanted, now)
        note = store.notes.get(HostCertificate, NAME)
        assert note
        return note.certificate

    certify(store, keys, fleet, NOW)
    assert not (keys / ssh.NAME).exists(), "nobody asked"
    store.notes.put(HostCertificate(key), NAME)
    first = made(NOW)
    assert first and made(NOW + 29 * 86400) == first != made(NOW + 31 * 86400)
    moved = load_fleet(TREE.with_files({"boxes/one.yaml": "role: vm\nnetwork: {address: 192.0.2.7/24}\n"}))
    second = made(NOW + 31 * 86400, moved)
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", "-"], input=second, capture_output=True, text=True, check=True
    ).stdout
    assert "host certificate" in shown and shown.split("Principals:")[1].split()[:2] == ["one", "192.0.2.7"]
    twice = {f"boxes/{each}.yaml": "role: vm\nnetwork: {address: 192.0.2.7/24}\n" for each in (NAME, OTHER)}
    fleet_of_one_address = load_fleet(TREE.with_files(twice))
    assert hosts(fleet_of_one_address) == sorted(fleet_of_one_address.boxes), "an address of two boxes vouches for none"
    assert made(NOW + 31 * 86400, fleet_of_one_address) not in (first, second)
    store.notes.put(HostCertificate("ssh-ed25519 AAAA"), OTHER)
    certify(store, keys, fleet, NOW)
    other = store.notes.get(HostCertificate, OTHER)
    assert other and other.certificate == "", "one box's nonsense keeps nobody else waiting"
