"""Installed on a machine without a checkout: from the wheel, as far as a signed release, and as a Debian package.

Both are built of HEAD by tools/. The wheel's environment sees the locked libraries of this one and nothing of the
checkout; everything is run from /, with an empty home. The Debian package is installed by dpkg on this machine's own
root, below which whatever it writes goes into memory and is gone afterwards.
"""

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gitops import __version__
from gitops.lab.hardware import free_port
from tests.kit import built
from tests.kit.databases import Postgres

pytestmark = pytest.mark.e2e
SMALL = """kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}
init: ["@pkg:../pkg/base"]
services: [{name: hello, image: "@pkg:../pkg/hello"}]
"""

CONTROLLER = """
from gitops.settings import load
from gitops.store import Store
Store.of(load(), migrate=True).blobs.put(b"a layer")
"""
"""What a controller leaves: tables, and a file that boxes may fetch."""


class Installed:
    """A command in an environment of its own."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.venv = folder, folder / "venv"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
        (folder / "home").mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.venv], check=True)
        python = self.venv / "bin" / "python"
        site = next((self.venv / "lib").glob("python*/site-packages"))
        (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "-q"]
        subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", wheel], check=True, cwd="/")

    def run(self, *words: str | Path, code: int = 0) -> str:
        command = [self.venv / "bin" / "toweros", *words]
        done = subprocess.run(command, cwd="/", env=self.env, capture_output=True, text=True)
        assert done.returncode == code, (words, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout


def wheel_of(checkout: Path, out: Path, umask: int) -> Path:
    env = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([checkout / "tools" / "wheel", out], env=env, check=True, umask=umask, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(built.CHECKOUT, tmp_path_factory.mktemp("wheel"), 0o022)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    yield Installed(tmp_path_factory.mktemp("installed"), wheel)


def test_the_same_commit_makes_the_same_wheel_elsewhere(wheel: Path, tmp_path: Path) -> None:
    """Another folder, other times of files, another umask."""
    subprocess.run(["git", "clone", "-q", built.CHECKOUT, tmp_path / "elsewhere"], check=True)
    again = wheel_of(tmp_path / "elsewhere", tmp_path / "out", 0o077)
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()


def test_a_wheel_alone_makes_a_signed_release(installed: Installed, tmp_path: Path) -> None:
    fleet, keys, state = tmp_path / "fleet", tmp_path / "keys", tmp_path / "state"
    for path in ("toolbox", "base", "hello", "kernel", "initrd", "bootloader"):
        built.image(f"pkg/{path}")
    built.lend(state)
    (tmp_path / "passphrase").write_text("for tests only")
    installed.run("init", fleet)
    recorded = json.loads((fleet / ".toweros" / "vendored.json").read_text())["trees"]
    for name in ("boot", "pkg"):
        assert recorded[name] == git(built.CHECKOUT, "rev-parse", f"HEAD:{name}")
        assert recorded[name] == git(fleet, "rev-parse", f"HEAD:{name}")
    installed.run("keys", "init", keys, "--passphrase-file", tmp_path / "passphrase", "--public", fleet / "keys")
    small(fleet)
    installed.run("validate", fleet)
    config, port = tmp_path / "toweros.toml", free_port()
    lines = {"repository": str(fleet), "keys": str(keys), "state": str(state), "listen": f"127.0.0.1:{port}"}
    lines["people_listen"] = lines["listen"]  # of the loopback, both may be one
    config.write_text("".join(f'{name} = "{value}"\n' for name, value in lines.items()))
    said = {row["check"]: row for row in json.loads(installed.run("doctor", "-c", config, "-o", "json"))}
    assert said["installation"]["found"].startswith("a wheel")
    assert "one" in installed.run("plan", "-c", config)
    installed.run("apply", "-c", config)
    assert "ok" in installed.run("verify", "one", "-c", config)
    served(installed, config, port)


def served(installed: Installed, config: Path, port: int) -> None:
    """The pages' templates and styles came with it."""
    server = subprocess.Popen([installed.venv / "bin" / "toweros", "server", "-c", config], cwd="/", env=installed.env,
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert server.stderr and any("update server for boxes on" in line for line in server.stderr)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
            assert b"one" in page.read()
    finally:
        server.terminate()
        server.wait(60)


def small(fleet: Path) -> None:
    """One box of packages that the tests built already."""
    for path in fleet.glob("boxes/*.yaml"):
        path.unlink()
    (fleet / "boot" / "small.yml").write_text(SMALL)
    (fleet / "roles" / "small.yaml").write_text("boot: [boot/small.yml]\n")
    (fleet / "boxes" / "one.yaml").write_text("role: small\nnetwork: {dhcp: true}\n")
    (fleet / "keys" / "authorized_keys").write_text("ssh-ed25519 AAAA ada\n")
    git(fleet, "add", "-A")
    git(fleet, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "one box")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


class Below:
    """This machine's root in a mount namespace of its own; what is written stays in memory. `brought` is its /mnt."""

    def __init__(self, folder: Path, brought: Path) -> None:
        self.folder = folder
        words = [f"mount -t tmpfs tmpfs {folder}", f"cd {folder}", "mkdir upper work root"]
        words += ["mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root"]
        words += [
            f"mount --bind {brought} root/mnt",
            "mount --rbind /dev root/dev",
            "mount -t proc proc root/proc",
            "echo there",
            "read ended",
        ]
        # A shell that waits keeps the namespace; whoever enters it finds all of this.
        self._keeper = subprocess.Popen(["unshare", "--mount", "sh", "-ec", "\n".join(words)], cwd=folder,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert self._keeper.stdout and self._keeper.stdout.readline() == b"there\n"

    def __enter__(self) -> "Below":
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.communicate(b"\n")

    def command(self, *words: str | Path) -> list[str | Path]:
        inside = ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt", "chroot", self.folder / "root"]
        kept = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TOWEROS_NO_BYTECODE": "1"}
        return [*inside, "env", "-i", *(f"{name}={value}" for name, value in kept.items()), *words]

    def run(self, *words: str | Path, code: int = 0) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True)
        assert done.returncode == code, (words, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout + done.stderr

    def sh(self, line: str, code: int = 0) -> str:
        return self.run("sh", "-c", line, code=code)


def newer(deb: Path, folder: Path) -> Path:
    """The same package as another version."""
    subprocess.run(["dpkg-deb", "-R", deb, folder / "tree"], check=True)
    control = folder / "tree" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: ", "Version: 1:"))
    new = folder / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", folder / "tree", new], check=True)
    return new


def test_a_debian_package_comes_goes_and_keeps_the_keys(wheel: Path, tmp_path: Path, postgres: Postgres) -> None:
    env = {**os.environ, "PYTHON": sys.executable, "TOWEROS_WHEEL": str(wheel), "DEB_COMPRESSION": "-Znone"}
    subprocess.run([built.CHECKOUT / "tools" / "deb", tmp_path], env=env, check=True, capture_output=True)
    deb, place = next(tmp_path.glob("*.deb")), tmp_path / "below"
    place.mkdir()
    with Below(place, tmp_path) as machine:
        machine.sh("rm -rf /etc/toweros; mkdir -p /var/lib/toweros; chmod 755 /var/lib/toweros")
        said = machine.run("dpkg", "-i", f"/mnt/{deb.name}")
        assert "toweros doctor" in said
        assert machine.run("toweros", "--version").strip() == __version__
        assert machine.sh("cd / && stat -c %a:%U:%G /var/lib/toweros /etc/toweros/toweros.toml").split() == [
            "750:root:toweros",
            "640:root:toweros",
        ]
        machine.sh(
            "mkdir -m 700 /etc/toweros/keys; echo key >/etc/toweros/keys/k; echo '# mine' >>/etc/toweros/toweros.toml"
        )
        serves_without_root(machine, postgres.create())
        machine.run("dpkg", "-i", f"/mnt/{newer(deb, tmp_path).name}")
        assert "# mine" in machine.sh("cat /etc/toweros/toweros.toml /etc/toweros/keys/k")
        machine.run("dpkg", "-r", "toweros")
        assert machine.sh(
            "cat /etc/toweros/toweros.toml /etc/toweros/keys/k; ls -d /usr/lib/toweros 2>&1 || true"
        ).endswith("No such file or directory\n")
        assert "/etc/toweros is kept" in machine.run("dpkg", "-P", "toweros")
        assert machine.sh("cat /etc/toweros/keys/k; test -d /var/lib/toweros") == "key\n"
        machine.run("dpkg", "-i", f"/mnt/{deb.name}")
        machine.sh("TOWEROS_PURGE=everything dpkg -P toweros")
        machine.sh("test ! -e /etc/toweros && test ! -e /var/lib/toweros")


def serves_without_root(machine: Below, url: str) -> None:
    """The user of toweros-server.service reads what the controller wrote, and can write none of it."""
    port = free_port()
    machine.sh(f"(umask 027; echo '{url}' >/etc/toweros/database; chgrp toweros /etc/toweros/database)")
    machine.sh("echo 'database_file = \"/etc/toweros/database\"' >>/etc/toweros/toweros.toml")
    machine.run("/usr/lib/toweros/bin/python", "-c", CONTROLLER)
    user = ["setpriv", "--reuid=toweros", "--regid=toweros", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    assert "Permission denied" in machine.run(
        *user, "sh", "-c", "cat /etc/toweros/keys/k; touch /var/lib/toweros/x", code=1
    )
    at = ("--listen", f"127.0.0.1:{port}", "--people-listen", f"127.0.0.1:{port}")
    server = subprocess.Popen(machine.command(*user, "toweros", "server", *at), cwd="/",
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert server.stderr and any("update server for boxes on" in line for line in server.stderr)
        fetched = httpx.get(f"http://127.0.0.1:{port}/", timeout=60, trust_env=False)
        assert fetched.status_code == 200, fetched.text
    finally:
        server.terminate()
        server.wait(60)
