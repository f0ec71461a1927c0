"""The machine that stands in for a box: `toweros vm run` starts it, `toweros box ssh` finds it.

It lives in STATE/vm/NAME: its disk, its firmware's variables, `serial.log`, the ports that lead into it. It runs what
the box is asked to run, and updates itself like the box. If the real box is enrolled, what the machine reports counts
for nothing: nobody should mistake a look for the box.

    stand_in = StandIn(settings, "demo-1")
    hardware = Hardware(stand_in.disk(store), stand_in.variables(secure_boot=True), ports)
    with stand_in.reachable(ports), Machine(stand_in.folder, hardware) as machine: ...
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops import process
from gitops.assemble.formats.disk import Sizes
from gitops.lab.firmware import Certificates, enroll_keys, setup_mode
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.provision import Terms, provision

SSH = 22
EMPTY = "8G"
"""Of an empty disk, as qemu-img has sizes; what is not written takes no room."""


def known_hosts(settings: Settings) -> Path:
    """The host keys of boxes and machines that were logged in to."""
    return settings.state / "known_hosts"


@dataclass(frozen=True)
class StandIn:
    """The machine of one box."""

    settings: Settings
    name: str

    @property
    def folder(self) -> Path:
        return self.settings.state / "vm" / self.name

    @property
    def host_alias(self) -> str:
        """Its name among the host keys: it is not the box."""
        return f"{self.name}.vm"

    @property
    def ssh_port(self) -> int | None:
        """The port of the loopback that leads to its sshd; None when it is off."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return int(json.loads(self._ports.read_text())[str(SSH)])
        return None

    def forget(self) -> None:
        """Remove disk and firmware. A new disk makes new host keys."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if (known := known_hosts(self.settings)).exists():
            process.run(["ssh-keygen", "-R", self.host_alias, "-f", known])

    def disk(self, store: Store, *, bios: bool = False) -> Path:
        """Its disk; made with what the box is asked to run when there is none yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        disk = self.folder / ("disk-bios.qcow2" if bios else "disk.qcow2")
        if not disk.exists():
            enroll = store.boxes.row(self.name) is None
            provision(self.settings, store, self.name, disk, Sizes(bios=bios), Terms(enroll=enroll))
        return disk

    def medium(self, store: Store, install: str = "") -> Path:
        """Its medium; made with what the box is asked to run when there is none yet. `install`: onto which disk it
        goes; "": none."""
        from gitops.workflows.media.medium import box_medium  # builders take long to load

        self.folder.mkdir(parents=True, exist_ok=True)
        medium = self.folder / f"medium{'-' * bool(install)}{install.replace('/', '-')}.iso"
        if not medium.exists():
            enroll = store.boxes.row(self.name) is None
            box_medium(self.settings, store, self.name, medium, key=enroll, install=install)
        return medium

    def empty_disk(self) -> Path:
        """A disk for a medium to settle; with what it has already, once there is one."""
        disk = self.folder / "disk-installed.qcow2"
        if not disk.exists():
            process.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, EMPTY])
        return disk

    def variables(self, *, secure_boot: bool) -> Path:
        """Its firmware's variables, with the fleet's keys in them or with none."""
        variables = self.folder / ("vars.fd" if secure_boot else "vars-without-keys.fd")
        if not variables.exists() and secure_boot:
            enroll_keys(variables, Certificates.of_folder(self.settings.keys))
        elif not variables.exists():
            setup_mode(variables)
        return variables

    @contextlib.contextmanager
    def reachable(self, ports: Mapping[int, int]) -> Iterator[None]:
        """Others can look up the ports (host -> box) meanwhile."""
        self._ports.write_text(json.dumps({box: host for host, box in ports.items()}))
        try:
            yield
        finally:
            self._ports.unlink(missing_ok=True)

    @property
    def _ports(self) -> Path:
        return self.folder / "ports.json"
