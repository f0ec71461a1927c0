"""One box in the field, for tests: fleet repo, remote, controller, update server, disk and machine, all real.

The fleet repo and the store stay in `state/tests/field` between runs; the disk is made anew for each run. The
controller's passes are called by the tests, so that they know what happened when; everything else goes by itself.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from gitops.assemble.formats.disk import Sizes
from gitops.controller import Controller
from gitops.errors import ProcessError
from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.lab.setup import BOX, GREETING, Setup
from gitops.model import BoxState, Json, Report, Verdict
from gitops.process import run
from gitops.server import create_app, serve
from gitops.settings import load
from gitops.sign.people.authority import UserAuthority
from gitops.source import FolderTree
from gitops.source.new_fleet import copy
from gitops.workflows.journal import Pass
from gitops.workflows.provision import provision
from tests.kit import built

__all__ = ["BOX", "GREETING", "LONG", "STATIC", "Field"]
SIZES = Sizes(esp=200, toweros=900, state=128)
STATIC = """role: vm
network: {interface: eth0, address: 10.0.2.15/25, gateway: 10.0.2.2, dns: [10.0.2.3]}
remote: shell
"""
"""The address that the machine's ports lead to; by DHCP it would come with another mask."""
TURNS = 5.0
"""Seconds between two passes that only give turns."""
LONG = 600.0
"""Seconds: nothing may take longer, on two slow cores that do something else as well."""


class Field(Setup):
    """What the tests do to the fleet, and what they see of the box."""

    def __init__(self, folder: Path, box: str = "role: vm\n") -> None:
        super().__init__(folder)
        self.prepare()
        self.remote = folder / "remote.git"
        if not self.remote.exists():
            run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", self.remote])
        self._take_packages(box)
        self.settings = load(self.config).model_copy(update={"repository": str(self.remote)})
        self.store = built.store() if folder == built.FIELD else built.lend(self.settings.state)
        self.passes = Controller(self.settings, self.store)
        self._server, self._given = ExitStack(), 0.0
        self.healthy: Path | None = None
        """The disk and variables of a box that is healthy and off, once a story leaves one."""

    def _take_packages(self, box: str) -> None:
        """The fleet repo builds what this checkout has now, on top of what is on the remote."""
        if run(["git", "--git-dir", self.remote, "for-each-ref", "refs/heads/main"]):
            self.pull()
        for name, here in (("pkg", "pkg"), ("boot", "boot"), ("roles", "fleet-repo-template/roles")):
            shutil.rmtree(self.fleet / name)
            copy(FolderTree(built.CHECKOUT / here), self.fleet / name)
        (self.fleet / "boxes" / f"{BOX}.yaml").write_text(box)
        (self.fleet / "keys" / "ssh_user_ca.pub").write_text(f"{UserAuthority.open(self.keys).public}\n")
        if run(["git", "-C", self.fleet, "status", "--porcelain"]):
            self.commit("The packages of the checkout")

    def apply(self) -> Pass:
        """Push what is committed, and let the controller do one pass."""
        run(["git", "-C", self.fleet, "push", "--quiet", self.remote, "HEAD:refs/heads/main"])
        return self._pass()

    def _pass(self) -> Pass:
        # A store of its own waits for nobody.
        with built.alone() if self.store is built.store() else nullcontext():
            return self.passes.run_once()

    def pull(self) -> None:
        """Take what others pushed."""
        run(["git", "-C", self.fleet, "pull", "--quiet", "--ff-only", self.remote, "main"])

    def change(self, path: str, text: str, message: str) -> Pass:
        """Commit a file, and have it carried out."""
        (self.fleet / path).write_text(text)
        self.commit(message)
        return self.apply()

    def new_disk(self, folder: Path, sizes: Sizes = SIZES) -> Machine:
        """Provision the box and give its machine, off. Whatever disk it had before is gone."""
        self.store.boxes.revoke(BOX)
        self.disk = folder / "disk.raw"
        provision(self.settings, self.store, BOX, self.disk, sizes)
        return self.machine_in(folder)

    def leave(self, machine: Machine) -> None:
        """A healthy box for other stories; whoever starts it again finds its own key only where the copy is."""
        self.ssh("nsenter -t 1 -m -- sh -c 'rm /run/toweros/disk/identity/box.key && sync'")
        self.healthy = machine.folder

    def machine_in(self, folder: Path) -> Machine:
        """A machine on the disk and variables of a folder."""
        hardware, variables = self.machine().hardware, folder / "vars.fd"
        if not variables.exists():
            shutil.copyfile(hardware.variables, variables)
        return Machine(folder, Hardware(folder / "disk.raw", variables, hardware.ports, attachable=True))

    # --- what the box says ------------------------------------------------------------------------------------------

    def state(self) -> BoxState:
        state = self.store.states.one(BOX)
        assert state is not None
        return state

    def report(self) -> Report:
        report = self.store.boxes.report(BOX)
        assert report is not None
        return report

    def wait_until(self, what: str, condition: Callable[[], object], seconds: float = LONG) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s; {self.store.states.one(BOX)}"
            time.sleep(0.3)

    def wait_healthy(self, since: int, seconds: float = LONG) -> Report:
        """A report from after `since` that says: idle, Healthy, and what was asked for."""

        def settled() -> bool:
            state = self.state()
            if state.received < since:
                return False
            self._give_turns()
            bad = [each for each in state.failures if each.release == state.published.release]
            assert not any(each.verdict == Verdict.FAILED for each in bad), f"the box went back: {state}"
            return state.settled

        self.wait_until("a healthy box", settled, seconds)
        return self.report()

    def _give_turns(self) -> None:
        """As a controller does that is there: a box that went back, or was off for long, needs another permission."""
        if (self.report().turn or {}).get("state") == "waiting" and time.monotonic() > self._given + TURNS:
            self._pass()
            self._given = time.monotonic()

    def ssh(self, command: str, login: bool = False) -> str:
        """Run a command on the box as the operator would; sshd may need a moment after the first healthy report.

        A login costs an emulated box three seconds of its processor, so commands share one, unless a new one is asked
        for. It ends with the machine, or after a moment without commands.
        """
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        options += ["-o", "ConnectTimeout=30", "-i", str(self.operator), "-p", str(self.port("ssh"))]
        shared = ["ControlMaster=auto", f"ControlPath={self.folder}/ssh-%p", "ControlPersist=15"]
        options += [] if login else [word for each in shared for word in ("-o", each)]
        for _ in range(20):
            try:
                return run(["ssh", *options, "root@127.0.0.1", command], timeout=60).decode()
            except ProcessError as error:
                if "(255)" not in error.message:
                    raise
            time.sleep(3)
        raise AssertionError(f"no login within a minute: {command}")

    def try_ssh(self, command: str) -> str:
        try:
            return self.ssh(command)
        except ProcessError:
            return ""

    def boot_json(self) -> Json:
        found: Json = json.loads(self.ssh("cat /run/toweros/boot.json"))
        return found

    # --- the update server ------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Put the update server up."""
        self._server.enter_context(serve(create_app(self.store, self.settings), self.settings.listen))

    @contextmanager
    def away(self) -> Iterator[None]:
        """The update server cannot be reached for a while."""
        self._server.close()
        try:
            yield
        finally:
            self.serve()

    def close(self) -> None:
        self._server.close()
