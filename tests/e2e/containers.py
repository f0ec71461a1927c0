"""A box's containers without the box: services of boot/docker.yml under runc, on this machine's kernel.

In: packages of this checkout, built. Out: their containers, made of what the assembler would write, in namespaces of
their own (mounts, processes, cgroups, and a network that has only a loopback): two can run side by side, nothing is
left of one when its first process or the test ends, and no port of this machine is taken. Paths of the box lie below a
folder.

    with Host(folder, {"docker": "pkg/docker"}) as host:
        host.start("docker")
        host.exec("docker", "docker", "ps")
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from gitops.assemble.root.runtime_spec import describe
from gitops.errors import ProcessError
from gitops.model import Container, Image, Json, canonical, sha256
from gitops.process import run
from tests.kit import built

OWN = ("/run", "/state", "/etc", "/containers", "/lib")
"""Folders of the box that are not this machine's."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

ON_A_BOX = "/usr/lib/toweros"
INIT = built.CHECKOUT / "pkg/init/files/usr/lib/toweros"
"""The scripts of init."""
LONG = 300
"""Seconds: nothing takes as long, on a machine that does something else as well."""
SYS_RESOURCE = 24
"""Its number in capability.h."""

FIRST_PROCESS = """
set -eu
echo $$ >"$CGROUP/cgroup.procs"
exec unshare --cgroup sh -euc '
	umount -R /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mkdir /sys/fs/cgroup/first
	echo $$ >/sys/fs/cgroup/first/cgroup.procs
	for name in $(cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control
	done
	ip link set lo up
	while read -r target layers; do
		mount -t overlay -o "ro,lowerdir=$layers" overlay "$target"
	done <"$MOUNTS"
	touch "$READY"
	while :; do sleep 3600 & wait $!; done
'
"""
"""Process 1: what the initrd and init do of it on a box. It ends everything by its end."""


class Host:
    """`services`: a container's name -> its package."""

    def __init__(self, folder: Path, services: Mapping[str, str]) -> None:
        self.folder, self.box = folder, folder / "box"
        self._images = {name: built.image(path) for name, path in services.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._cgroup = _cgroup2() / f"toweros-test-{os.getpid()}"
        self._first = 0

    def __enter__(self) -> Self:
        for name in (
            "run/resolvconf",
            "state",
            "etc/compose",
            "etc/docker",
            "etc/toweros",
            "lib/modules",
            "containers/images/oci",
        ):
            (self.box / name).mkdir(parents=True)
        (self.box / "run/resolvconf/resolv.conf").touch()
        mounts = [self._bundle(name, image) for name, image in self._images.items()]
        (self.folder / "mounts").write_text("".join(mounts))
        self._cgroup.mkdir()
        places = {name: str(self.folder / name.lower()) for name in ("MOUNTS", "READY")}
        alone = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        with (self.folder / "first.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *alone, "sh", "-c", FIRST_PROCESS],
                env={"PATH": os.environ["PATH"], "CGROUP": str(self._cgroup), **places},
                stdout=log,
                stderr=log,
            )
        self.wait_until("the first process", (self.folder / "ready").exists)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._first = int(children.read_text().split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            self._process.wait(30)
        for folder, _names, _files in os.walk(self._cgroup, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()

    def start(self, name: str) -> None:
        """Start a service, as containerd would on a box."""
        log = (self.folder / f"{name}.log").open("ab")
        bundle = self.folder / name
        command = ["runc", "--root", str(self.folder / "runc"), "run", "--detach", "--bundle", str(bundle), name]
        with log:
            done = subprocess.run([*self._inside(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert done.returncode == 0, self.log(name)

    def stop(self, name: str) -> None:
        """End a service the hard way."""
        self._runc("delete", "--force", name)

    def end(self, name: str) -> None:
        """End a service as init does on the way down."""
        script = (INIT / "shutdown").read_text().replace(f". {ON_A_BOX}/common.sh\n", "").replace("\nmain\n", "\n")
        pid = json.loads(self._runc("state", name))["pid"]
        run([*self._inside(), "busybox", "sh", "-c", f"{script}end {pid}"])
        self.wait_until(f"{name} to end", lambda: json.loads(self._runc("state", name))["status"] == "stopped")

    def exec(self, name: str, *words: str) -> str:
        """Run a command in a service's container; what it prints.

        Raises:
            ProcessError: it exits with another code than 0.
        """
        return self._runc("exec", name, *words).decode()

    def docker(self, *words: str) -> str:
        return self.exec("docker", "docker", *words)

    def answers(self) -> bool:
        """Whether the engine does; its socket is there before."""
        try:
            return bool(self.docker("version"))
        except ProcessError:
            return False

    def denied(self, *words: str) -> str:
        """What a docker command says that fails."""
        try:
            said = self.docker(*words)
        except ProcessError as error:
            return error.log or error.message
        raise AssertionError(f"{words} went well: {said}")

    def here(self, *words: str) -> bytes:
        """Run a program of this machine in the box's network."""
        return run([*self.network(), *words])

    def network(self) -> list[str]:
        """What to put before a command of this machine, to run it in the box's network."""
        return ["nsenter", f"--target={self._first}", "--net"]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_until(self, what: str, true: Callable[[], bool], seconds: float = LONG) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            logs = "\n".join(self.log(path.stem)[-1500:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{logs}"
            time.sleep(0.2)

    def stage(self, image: Image) -> str:
        """Put an image where the controller does; its name by digest."""
        blobs = self.box / "containers/images/oci/blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)

        def put(data: bytes, kind: str) -> Json:
            (blobs / sha256(data)).write_bytes(data)
            return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data)}

        layers = []
        for diff_id in image.layers:
            source = built.store().blobs.path(diff_id)
            if not (blobs / diff_id).exists():
                shutil.copyfile(source, blobs / diff_id)
            layers.append({"mediaType": LAYER, "digest": f"sha256:{diff_id}", "size": source.stat().st_size})
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{diff_id}" for diff_id in image.layers]}
        config = {"architecture": "amd64", "os": "linux", "config": image.config, "rootfs": rootfs}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": put(canonical(config), CONFIG)}
        digest = put(canonical(manifest | {"layers": layers}), MANIFEST)["digest"]
        return f"127.0.0.1:5000/{image.reference.partition(':')[0]}@{digest}"

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--cgroup"]

    def _runc(self, *words: str) -> bytes:
        return run([*self._inside(), "runc", "--root", self.folder / "runc", *words])

    def _bundle(self, name: str, image: Image) -> str:
        """Write a service's config.json; a line for the mount of its root."""
        config, runtime = describe(Container(name, image.reference), image.config, volumes={}, ids={})
        for mount in config["mounts"]:
            if mount["type"] == "bind" and mount["source"].startswith(OWN):
                mount["source"] = f"{self.box}{mount['source']}"
        _within_reach(config["process"])
        config["linux"].pop("resources", None)  # init's part on a box; the controllers of this machine may be elsewhere
        for path in runtime.get("mkdir") or ():
            Path(f"{self.box}{path}").mkdir(parents=True, exist_ok=True)
        root = self.folder / name / "rootfs"
        root.mkdir(parents=True)
        config["root"]["path"] = str(root)
        (self.folder / name / "config.json").write_text(json.dumps(config))
        layers = [_unpacked(diff_id) for diff_id in reversed(image.layers)]
        return f"{root} {':'.join(map(str, layers))}\n"


def _within_reach(process: Json) -> None:
    """Ask for no more than root has here: some virtual machines keep CAP_SYS_RESOURCE for themselves."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    if int(status["CapBnd"], 16) & 1 << SYS_RESOURCE:
        return
    process.pop("oomScoreAdj", None)
    process.pop("rlimits", None)
    for names in process.get("capabilities", {}).values():
        names[:] = [name for name in names if name != "CAP_SYS_RESOURCE"]


def _unpacked(diff_id: str) -> Path:
    """A layer of ours as a folder, kept between runs."""
    folder = built.FOLDER / "unpacked" / diff_id
    with built.alone("unpack"):
        if not folder.exists():
            new = folder.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            tar = built.store().blobs.path(diff_id)
            run(["tar", "--extract", "--numeric-owner", "--file", tar, "--directory", new])
            new.rename(folder)
    return folder


def _cgroup2() -> Path:
    """Where this machine has its cgroup 2 hierarchy."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    raise AssertionError("no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
