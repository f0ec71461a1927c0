"""A Docker engine on a machine of its own: Debian 13 in namespaces, with a network that leads nowhere.

In: a tar of its root, a folder with room. Out: what commands in it say. Rules: it sees nothing of this machine but
what is brought (`/mnt`); it ends by its end, with every container. Needs root.

    with Engine(folder, root) as engine:
        engine.run("docker", "version")
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

PATIENCE = 120.0
PACKAGES = "docker.io,docker-cli,docker-compose,iptables,iproute2,ca-certificates,openssl,curl,git"
OPTIONS = ("--mode=root", "--variant=essential", "--quiet", "--aptopt=APT::Install-Recommends false")
SOURCES = "Types: deb\nURIs: {uri}\nSuites: trixie\nComponents: main\nSigned-By: {keyring}\n"
FIRST = """
set -eu
mkdir -p "$CGROUP"
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
	mount --bind "$ROOT" "$ROOT"
	mount -t proc proc "$ROOT/proc"
	mount --rbind /sys "$ROOT/sys"
	mount --rbind /dev "$ROOT/dev"
	mount -t tmpfs tmpfs "$ROOT/run"
	mount --bind "$BROUGHT" "$ROOT/mnt"
	mkdir -p "$ROOT/old"
	cd "$ROOT"
	pivot_root . old
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
	exec chroot . sh -c "umount -l /old; exec dockerd"
'
"""
"""Process 1. The engine must be at the root of its mount namespace: what it starts is put there."""


def debian(suite: str, packages: str, out: Path, sources: str | Path, *hooks: str) -> None:
    """A tar of a small Debian: `sources` is a file of apt's, or the text of one."""
    text = Path(sources) if isinstance(sources, Path) else out.with_suffix(".sources")
    if not isinstance(sources, Path):
        text.write_text(sources)
    words: list[str | Path] = ["mmdebstrap", *OPTIONS, *hooks, f"--include={packages}", suite, out, text]
    subprocess.run(words, check=True, env={**os.environ, "TMPDIR": str(out.parent)})


class Engine:
    """`brought`: a folder of this machine that is its /mnt."""

    def __init__(self, folder: Path, root: Path, brought: Path) -> None:
        self.folder, self._root, self._brought = folder, folder / "root", brought
        self._root.mkdir()
        subprocess.run(["tar", "--extract", "--file", root, "--directory", self._root], check=True)
        self._cgroup = Path(tempfile.mkdtemp(prefix="toweros-engine-", dir=_cgroup2()))
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        names = {"CGROUP": self._cgroup, "ROOT": self._root, "BROUGHT": self._brought}
        env = {"PATH": os.environ["PATH"], **{name: str(place) for name, place in names.items()}}
        alone = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        with (self.folder / "engine.log").open("wb") as log:
            words = ["setpriv", "--pdeathsig", "KILL", "unshare", *alone, "sh", "-c", FIRST]
            self._process = subprocess.Popen(words, env=env, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit((self.folder / "engine.log").read_text()[-3000:])
            time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(30)
        time.sleep(1)  # the namespace ends after its first process
        for folder, _names, _files in os.walk(self._cgroup, topdown=False):
            Path(folder).rmdir()

    def run(self, *words: str | Path, stdin: str = "", code: int | None = 0, at: str = "/") -> str:
        """What a command says. Raises SystemExit: it ends with another code; None: any will do."""
        inside = ["nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--cgroup", f"--wdns={at}"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DOCKER_BUILDKIT=0"]
        done = subprocess.run([*inside, *clean, *words], check=False, input=stdin, capture_output=True, text=True)
        if code is not None and done.returncode != code:
            raise SystemExit(f"error: {words} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def _answers(self) -> bool:
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        self._first = int(found[0]) if found else 0
        return bool(self._first) and "Server" in self.run("docker", "version", code=None)


def _cgroup2() -> Path:
    """Where this machine has its cgroup 2 hierarchy."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    raise SystemExit("error: no cgroup2 is mounted")
