"""`runtime:` of a spec, as init carries it out: a real runc with real namespaces, in a network and mounts of its own.

What is not real: cgroups, which this machine may have of version 1, and containerd, for which a program stands that
writes down what it is asked.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.assemble.root.runtime_spec import describe
from gitops.model import Container, Json
from tests.kit.init import INIT, sh

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces take root")
RUNC = """#!/bin/sh
jq 'del(.linux.resources, .linux.cgroupsPath) | .mounts |= map(select(.type != "cgroup"))' \\
    "$3/config.json" >"$3/own.json"
mv "$3/own.json" "$3/config.json"
exec /usr/sbin/runc --root ROOT "$@"
"""
APPLETS = ("ip", "nsenter", "mount", "umount", "stat", "sed", "mkdir", "grep", "sleep", "rm", "cat", "head", "sh")


class Box:
    """Folders that stand for a box, with init's scripts told to work there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "bin"
        for name in ("bin", "run/toweros", "cgroups", "lib"):
            (folder / name).mkdir(parents=True)
        for name in APPLETS:  # a box has no others
            (self.programs / name).symlink_to("/usr/bin/busybox")
        (self.programs / "runc").write_text(RUNC.replace("ROOT", f"{folder}/runc"))
        (self.programs / "runc").chmod(0o755)
        (folder / "meminfo").write_text("MemTotal:       1024000 kB\n")
        for name in ("common.sh", "around", "keep", "services", "shutdown"):
            text = (INIT / name).read_text().replace("/usr/lib/toweros/", f"{folder}/lib/")
            text = text.replace("/run/", f"{folder}/run/").replace("/dev/console", f"{folder}/console")
            text = text.replace("PATH=/usr", f"PATH={folder}/bin:/usr").replace("=/containers", f"={folder}/containers")
            text = text.replace("=/proc/meminfo", f"={folder}/meminfo").replace("PATIENCE=10", "PATIENCE=0")
            text = text.replace("#!/bin/sh", "#!/usr/bin/busybox sh").replace("=/sys/fs/cgroup", f"={folder}/cgroups")
            (folder / "lib" / name).write_text(text)
            (folder / "lib" / name).chmod(0o755)

    def has(self, group: str, name: str, settings: Json) -> None:
        """A container as the assembler writes it."""
        place = self.folder / "containers" / group / name
        (place / "rootfs/bin").mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", place / "rootfs/bin/busybox")
        text = json.dumps(settings).replace("/run/", f"{self.folder}/run/")
        config, runtime = describe(Container(name, "i", json.loads(text)), {}, volumes={}, ids={})
        (place / "config.json").write_text(json.dumps(config, indent=2))
        (place / "runtime.json").write_text(json.dumps(runtime, indent=2))

    def does(self, script: str) -> list[str]:
        """The words that shell functions of init say, where mounts are shared as a box's are."""
        head = f". {self.folder}/lib/common.sh\nmount --make-rshared /\nlink() {{ ip -o link | cut -d: -f2; }}\n"
        script = head + script.replace("/run/", f"{self.folder}/run/").replace("LIB", f"{self.folder}/lib")
        # On one processor: Linux 6.18 numbers namespaces by processor, and keeps no mount namespace that is older.
        processor = str(min(os.sched_getaffinity(0)))
        command = ["taskset", "-c", processor, "unshare", "-n", "-m", "busybox", "sh", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout.split()

    def log(self, name: str) -> str:
        return (self.folder / "run/toweros/log" / f"onboot-{name}").read_text()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


LINKS = ["/bin/busybox", "sh", "-c", "busybox ip -o link | busybox cut -d: -f2 | busybox sort | busybox tr -d ' \\n'"]


def test_a_container_begins_with_the_interfaces_that_its_spec_names(box: Box) -> None:
    """Of each kind: a pair whose end has a name that the box's own card has, too; made inside; made outside; moved."""
    interfaces = [
        {"name": "eth0", "peer": "to-web"},
        {"name": "inner", "add": "bridge"},
        {"name": "outer", "add": "ifb", "createInRoot": True},
        {"name": "card"},
    ]
    box.has("onboot", "000-web", {"command": LINKS, "net": "new", "runtime": {"interfaces": interfaces}})
    left = box.does("ip link add eth0 type ifb; ip link add card type ifb; run_once onboot 20; link")
    said = re.sub('time="[^\n]*\n', "", box.log("000-web"))  # runc's own, where the machine is slow
    assert re.fullmatch("cardeth0@if[0-9]+innerloouter", said), said
    assert (box.folder / "run/toweros/onboot/000-web").read_text() == "0\n"
    assert "eth0" in left and not {"card", "outer", "inner"} & set(left)


KINDS = ("ipc", "mnt", "net", "pid", "uts")


def test_namespaces_are_kept_at_their_paths_and_the_next_container_joins_one(box: Box) -> None:
    own = {key: "new" for key in ("net", "ipc", "uts")}
    kept = {"bindNS": {kind: f"/run/ns/{kind}" for kind in KINDS}, "interfaces": [{"name": "kept0", "add": "ifb"}]}
    box.has("onboot", "000-first", {"command": ["/bin/busybox", "true"], **own, "runtime": kept})
    box.has("onboot", "001-next", {"command": LINKS, "net": "/run/ns/net"})
    look = "stat -f -c %t /run/ns/$kind; stat -L -c %i /run/ns/$kind /proc/self/ns/$kind"
    words = box.does(f"run_once onboot 20; for kind in {' '.join(KINDS)}; do {look}; done")
    assert words[::3] == ["6e736673"] * len(KINDS), "each is a namespace"
    assert all(one != other for one, other in zip(words[1::3], words[2::3], strict=True)), "and none is the box's"
    assert box.log("001-next") == "kept0lo"


def test_a_service_that_is_started_again_finds_all_of_it_again(box: Box) -> None:
    """Its namespace is another one then, and the pair of the last start lives as long as that is kept."""
    runtime = {"interfaces": [{"name": "eth0", "add": "veth", "peer": "to-web"}], "bindNS": {"net": "/run/ns/net"}}
    box.has("onboot", "000-web", {"command": LINKS, "net": "new", "runtime": runtime})
    once = "run_once onboot 20; cat /run/toweros/onboot/000-web; stat -L -c %i /run/ns/net"
    words = box.does(f"{once}; {once}; link; umount /run/ns/net; stat -f -c %t /run/ns/net")
    assert words[0] == words[2] == "0" and words[1] != words[3]
    assert [word.partition("@")[0] for word in words[4:-1]] == ["lo", "to-web"] and words[-1] != "6e736673"


def test_what_cannot_be_made_keeps_the_container_from_starting_and_is_named(box: Box) -> None:
    """A peer that somebody else has is nobody's to delete."""
    for name, interface in (("000-gone", {"name": "card"}), ("001-taken", {"name": "eth0", "peer": "mine"})):
        box.has("onboot", name, {"command": LINKS, "net": "new", "runtime": {"interfaces": [interface]}})
    left = box.does("ip link add mine type ifb; run_once onboot 20; link")
    assert "mine" in left and "lo" in left and len(left) == 2
    said = (box.folder / "run/toweros/init.log").read_text()
    for name, what in (("000-gone", "interface card"), ("001-taken", "interface eth0")):
        assert (box.folder / "run/toweros/onboot" / name).read_text() != "0\n"
        assert f"{name} does not start: {what}" in said


def test_cgroups_are_made_before_among_those_of_the_services(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text(json.dumps({"cgroups": ["pods", "pods/one"], "mounts": [], "mkdir": []}))
    common = (INIT / "common.sh").read_text().replace("/run/", f"{tmp_path}/")
    (tmp_path / "common.sh").write_text(common)
    sh(tmp_path, f". {tmp_path}/common.sh; CGROUPS={tmp_path}/cgroups\nprepare {tmp_path}")
    assert (tmp_path / "cgroups/services/pods/one").is_dir()


OURS = "services.linuxkit"
WAITING = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
open(sys.argv[2], "w")
signal.sigwait({signal.SIGTERM})
open(sys.argv[1], "a").write("waited\\n")
"""
"""As tini does, which starts the engine."""
CTR = """#!/usr/bin/busybox sh
echo "$2 $3 $4 $5" >>LOG
"""


def test_a_service_in_a_namespace_of_its_own_is_made_watched_and_ended_there(box: Box) -> None:
    """On the way down whoever catches SIGTERM has its time, whoever cannot end by it is not waited for, and nobody is
    started again."""
    box.has("services", "one", {"command": ["x"]})
    box.has("services", "two", {"command": ["x"], "runtime": {"namespace": "apart"}})
    box.has("services", "three", {"command": ["x"]})
    (box.programs / "ctr").write_text(CTR.replace("LOG", f"{box.folder}/asked"))
    (box.programs / "ctr").chmod(0o755)
    for name in ("services", "shutdown"):
        script = box.folder / "lib" / name
        script.write_text(script.read_text().replace("\nmain\n", "\n"))
    tasks = "/run/containerd/io.containerd.runtime.v2.task"
    polite = """sh -c 'trap "sleep 1; echo said >>/run/goodbye; exit" TERM; while :; do sleep 0.1; done' &\n"""
    waiting = f"{sys.executable} -I -c '{WAITING}' /run/goodbye /run/ready &\n"
    deaf = "sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' &\n"
    script = "".join(
        f"{program}mkdir -p {tasks}/{each}; echo $! >{tasks}/{each}/init.pid\n"
        for each, program in (("apart/two", polite), (f"{OURS}/one", deaf), (f"{OURS}/three", waiting))
    )
    script += "sleep 100 &\necho $! >/run/containerd/pid\n"
    script += ". LIB/services; for each in one two; do create $CONTAINERS/services/$each $each; done\n"
    script += "until [ -e /run/ready ]; do sleep 0.1; done; sleep 0.2\n"
    script += "START_TIME=1; wait_for_services 2>/dev/null; . LIB/shutdown; STOP_TIME=300\n"
    left = "cat /run/goodbye; kill -0 $(cat /run/containerd/pid) 2>/dev/null && echo there\n"
    assert box.does(f"{script}stop_services; services; {left}true") == ["waited", "said"]
    asked = (box.folder / "asked").read_text().splitlines()
    assert asked == [f"{OURS} container create --config", "apart container create --config"]
    said = (box.folder / "run/toweros/init.log").read_text()
    assert "one: not running" not in said and "two: not running" not in said
