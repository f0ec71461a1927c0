"""A box that people come in to: the real sshd with a box's start script and a release's files, and the real agent.

with remote_box(tmp_path, "shell") as box:
    person = box.ssh(box.ask(Kind.shell), "id")
    box.polls()
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toweros_agent.machine import State
from toweros_agent.offer.net import Http
from toweros_agent.outgoing.host_key import HostKey
from toweros_agent.outgoing.identity import Identity
from toweros_agent.outgoing.rows import Health
from toweros_agent.remote.remote import Remote
from toweros_agent.report import Report, Reporter

from gitops.cli.remote import carry
from gitops.cli.remote.sessions import ssh_words
from gitops.fleet import load_fleet
from gitops.model import Fleet
from gitops.model.access.act import Act
from gitops.model.access.by import By
from gitops.model.access.person import Grant, Person, Role
from gitops.model.access.remote import Kind
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.sign import ssh
from gitops.sign.people.authority import UserAuthority
from gitops.store.notes.remote import RemoteSessions
from gitops.workflows.acting.acting import Acting, audit_log
from gitops.workflows.enrolment.host_keys import certify
from gitops.workflows.remote.asking import Asking, Ticket, Wish, ask
from tests.kit.fleets import TREE
from tests.kit.published import Kit, kit

CHECKOUT = Path(__file__).parents[2]
FILES = CHECKOUT / "pkg" / "sshd" / "files" / "usr" / "bin"
WELL = Report(1, "0" * 64, "0" * 64, State.IDLE, Health.HEALTHY, "", 0, 0, "toweros-1.efi", [], [], {}, [])
NAME, OTHER = "one", "two"
ADA = Person("ada", (Grant(Role.admin),), how="cli")
REASON = "the mast is silent"


def fleet_of(keys: Path, **said: str) -> Fleet:
    """The fleet, with `remote:` of boxes, and the authority for people."""
    boxes = {f"boxes/{box}.yaml": f"role: vm\nremote: {remote}\n" for box, remote in said.items()}
    return load_fleet(TREE.with_files({**boxes, "keys/ssh_user_ca.pub": f"{UserAuthority.open(keys).public}\n"}))


@dataclass
class RemoteBox:
    """One box: its folders, its sshd, its agent's reporter and sessions."""

    folder: Path
    url: str
    here: Kit
    fleet: Fleet
    log: list[str] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        for name in ("state", "disk/identity", "esp/EFI", "run", "logs", "etc"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "boot_id").write_text("b\n")
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.take(self.fleet)
        identity = Identity(self.folder / "disk" / "identity", self.folder / "esp")
        self.reporter = Reporter(Http(lambda: None, time.sleep), self.url, NAME, identity, self.folder / "boot_id")
        self.here.store.boxes.enroll(NAME, identity.public)
        self.remote = Remote(self.folder / "etc", self.reporter, self.log.append, ("127.0.0.1", self.port))

    def take(self, fleet: Fleet) -> None:
        """What the release of this fleet has in /etc/toweros."""
        self.fleet = fleet
        for entry in fleet.boxes[NAME].files:
            if entry["path"].startswith("etc/toweros/remote/"):
                place = self.folder / entry["path"].replace("etc/toweros", "etc")
                place.parent.mkdir(exist_ok=True)
                place.write_text(entry["contents"])

    @contextmanager
    def sshd(self) -> Iterator[None]:
        """The script of a box, with a box's folders here."""
        text = (FILES / "start-sshd").read_text()
        config = self.folder / "sshd_config"
        config.write_text(f"UsePAM no\nPasswordAuthentication no\nStrictModes no\nInclude {self.folder}/run/*.conf\n")
        text = text.replace("/state", f"{self.folder}/state").replace("/run/toweros/disk", f"{self.folder}/disk")
        text = text.replace("/etc/toweros", f"{self.folder}/etc").replace("> /run/sshd/", f"> {self.folder}/run/")
        options = f"-f {config} -p {self.port} -o PidFile=none -o ListenAddress=127.0.0.1"
        text = text.replace("sshd -D -e", f"sshd -D -e {options} -o AuthorizedKeysFile=none")
        script = self.folder / "start-sshd"
        script.write_text(text.replace("sleep 20", "sleep 0.2"))
        logs = self.folder / "toweros-logs"
        logs.write_text((FILES / "toweros-logs").read_text().replace("/var/log", f"{self.folder}/logs"))
        logs.chmod(0o755)
        with (self.folder / "sshd.log").open("wb") as said:
            daemon = subprocess.Popen(["sh", script], stderr=said, stdout=said)
        try:
            self._is_up()
            yield
        finally:
            daemon.kill()
            daemon.wait()

    @contextmanager
    def another_sshd(self, folder: Path) -> Iterator[None]:
        """What the box is connected with meanwhile is not the box's own: it lets everybody in, by a key of its own."""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        remote = self.folder / "etc" / "remote"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
        options = [f"TrustedUserCAKeys={remote}/authority.pub", f"AuthorizedPrincipalsFile={remote}/principals"]
        options += ["StrictModes=no", "PidFile=none", "ListenAddress=127.0.0.1"]
        words = [word for each in options for word in ("-o", each)]
        daemon = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-f", "/dev/null", *words, "-h", folder / "host", "-p", str(port)]
        )
        before, self.remote._sshd = self.remote._sshd, ("127.0.0.1", port)
        try:
            self._is_up(port)
            yield
        finally:
            self.remote._sshd = before
            daemon.kill()
            daemon.wait()

    def _is_up(self, port: int = 0) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                return socket.create_connection(("127.0.0.1", port or self.port), 5).close()
            except OSError:
                time.sleep(0.05)

    def polls(self) -> None:
        """What an idle agent does with each look: a report, and what came with the answer."""
        time.sleep(0.002)  # the counter is in milliseconds
        host = HostKey(self.folder / "state", self.folder / "disk" / "identity")
        assert self.reporter.send(self.remote.told(replace(WELL, ssh=host.public))) == ""
        host.keep(self.reporter.http.certificate)
        self.remote.look()

    def certified(self) -> None:
        """The fleet's authority knows the host key, and sshd has its certificate."""
        self.polls()
        certify(self.here.store, self.here.folder / "keys", self.fleet, int(time.time()))
        self.polls()
        end = time.monotonic() + 30
        while not (self.folder / "run" / "certificate.conf").exists() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.5)  # sshd reads it again

    def asking(self, by: By, now: int) -> Asking:
        acting = Acting(self.here.store, audit_log(self.here.store), by, now)
        return Asking(acting, self.here.folder / "keys", self.fleet)

    def ask(self, kind: Kind, *, box: str = NAME, person: Person = ADA, now: float = 0) -> Ticket:
        by = By(person.name, person.how)
        return ask(self.asking(by, int(now or time.time())), Wish(box, kind, person, REASON))

    @property
    def acts(self) -> list[Act]:
        """What the audit log has, oldest first, each as it ended."""
        log = audit_log(self.here.store)
        return [replace(line.act, outcome=outcome) for line, outcome in log.newest()][::-1]

    def ssh(self, ticket: Ticket, *command: str, server: str = "", box: str = NAME) -> "subprocess.Popen[bytes]":
        """ssh as the command starts it; nobody types anything."""
        folder = self.folder / ticket.session
        folder.mkdir(mode=0o700)
        (folder / "known_hosts").write_text("\n".join(ssh.lines(self.here.folder / "keys", [box])) + "\n")
        words = ssh_words(ticket, Wish(box, Kind.shell, ADA, REASON), folder, server or self.url)
        env = {**os.environ, carry.TOKEN: ticket.token, carry.SAYS: str(folder / "says"), "PYTHONPATH": str(CHECKOUT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*words, *command], env=env, **pipes)

    def says(self, ticket: Ticket) -> str:
        """Why the session was over, as the person was told."""
        place = self.folder / ticket.session / "says"
        return place.read_text() if place.exists() else ""

    def events(self) -> list[str]:
        return [event.message for event in self.here.store.events.latest(NAME, 50) if event.reason == "Remote"]

    def direct(self, ticket: Ticket, *command: str) -> "subprocess.CompletedProcess[bytes]":
        """The same certificate at sshd itself, for whoever reaches the box by the network."""
        folder = self.folder / ticket.session
        folder.mkdir(mode=0o700, exist_ok=True)
        key = folder / "key" if (folder / "key").exists() else ticket.write(folder)
        options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "IdentityAgent=none"]
        options += ["-o", f"UserKnownHostsFile={folder}/any", "-p", str(self.port), "-i", str(key)]
        return subprocess.run(["ssh", *options, "root@127.0.0.1", *command], capture_output=True, timeout=60)

    def reads_logs(self, words: str) -> "subprocess.CompletedProcess[bytes]":
        """What sshd runs for a certificate for logs, when the person's ssh says these words."""
        env = {"PATH": os.environ["PATH"], "SSH_ORIGINAL_COMMAND": words}
        return subprocess.run([self.folder / "toweros-logs"], env=env, capture_output=True, timeout=60)

    def forget(self) -> None:
        """Nobody waits for what was only asked for."""
        self.here.store.notes.forget(RemoteSessions, [NAME])

    def allow(self, remote: str) -> None:
        """Another release: what it allows."""
        self.take(fleet_of(self.here.folder / "keys", **{NAME: remote}))

    def signed(self, kind: Kind, *, box: str = NAME, now: float = 0, keys: Path | None = None) -> str:
        """A request that is only signed: nobody judged it. What the server hands to the box."""
        authority, at = UserAuthority.open(keys or self.here.folder / "keys"), int(now or time.time())
        made = authority.admit(Ed25519PrivateKey.generate().public_key(), box, kind, "eve: in", at)
        return made.certificate.split()[1]

    def hears(self, *requests: str) -> None:
        """The box is handed these, as a server that lies might."""
        self.reporter.http.remote = " ".join(requests)
        self.remote.look()

    @property
    def well(self) -> Report:
        return WELL

    @property
    def sessions(self) -> int:
        return len([thread for thread in threading.enumerate() if thread.name.startswith("remote-")])

    def wait(self, what: str, true: object, seconds: float = 30) -> None:
        assert callable(true)
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what}: {self.log} {self.events()}"
            time.sleep(0.05)


@contextmanager
def remote_box(tmp_path: Path, remote: str) -> Iterator[RemoteBox]:
    """A box whose release says so, its sshd up and known, and an update server."""
    with pytest.MonkeyPatch.context() as patch:
        yield from _remote_box(tmp_path, patch, remote)


def _remote_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str) -> Iterator[RemoteBox]:
    here = kit(tmp_path / "kit")
    place = str(tmp_path / "box" / "toweros-logs")
    for module in ("gitops.sign.people.authority", "gitops.fleet.keys.people"):
        monkeypatch.setattr(f"{module}.LOGS_COMMAND", place)
    monkeypatch.setattr("toweros_agent.remote.order.LOGS_COMMAND", place.encode())
    fleet = fleet_of(here.folder / "keys", **{NAME: remote})
    with serve(create_app(here.store, Settings(state=here.store.paths.root)), "127.0.0.1:0") as url:
        box = RemoteBox(tmp_path / "box", url, here, fleet)
        with box.sshd():
            box.certified()
            try:
                yield box
            finally:
                box.remote.end("the story is over")
                sys.stderr.write("\n".join([*box.log, (box.folder / "sshd.log").read_text()[-2000:]]))
