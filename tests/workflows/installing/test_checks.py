"""What a machine lacks is named with the way out, and what it has is not called missing."""

import os
import re
import socket
import sys
import threading
import zoneinfo
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gitops.settings import Settings
from gitops.source.shipped import home
from gitops.store import Store
from gitops.workflows.installing import checks
from gitops.workflows.installing.checks import Finding, State, examine, install
from gitops.workflows.installing.programs import PROGRAMS, Part


def one(found: list[Finding], what: str) -> Finding:
    return next(finding for finding in found if finding.what == what)


def looked(tmp_path: Path, part: Part = Part.server, **settings: object) -> list[Finding]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    values = {"state": tmp_path / "state", "keys": tmp_path / "keys", "listen": listen, **settings}
    return examine(part, Settings(**values), lambda: False)  # type: ignore[arg-type]


def test_programs_that_are_missing_are_one_line_of_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = looked(tmp_path, Part.controller)
    assert one(found, "buildah").state is State.bad
    line = install(found)
    assert line.startswith("apt-get install --no-install-recommends ")
    assert {"buildah", "git", "zstd", "openssh-client", "gdisk"} <= set(line.split())
    assert "qemu-system-x86" not in line  # machines are not asked for
    docker = looked(tmp_path, Part.controller, builder="docker")
    assert not [finding for finding in docker if finding.what == "buildah"]


def test_an_old_program_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "buildah"
    old.write_text("#!/bin/sh\necho buildah version 1.19.6\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    finding = one(looked(tmp_path, Part.controller), "buildah")
    assert finding.state is State.bad and "1.19" in finding.found and "1.28" in finding.found


def test_every_package_that_is_named_is_one_that_the_project_installs() -> None:
    """Debian's essential packages, and those that come with them, are on every machine."""
    installed = set(re.findall(r"^[a-z0-9.+-]+$", home.text("debian-packages.txt"), re.M))
    named = {program.package for program in PROGRAMS} - {"apt", "dpkg", "util-linux", "coreutils", "tar"}
    assert named <= installed


def test_a_port_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        found = looked(tmp_path, listen=listen)
    finding = one(found, "port")
    assert finding.state is State.bad and listen in finding.found


def test_people_have_a_port_of_their_own_and_an_audit_log_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "audit").mkdir(parents=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "audit" or mode != os.W_OK)
        found = looked(tmp_path, Part.controller, people_listen=listen)
    finding = one(found, "people's port")
    assert finding.state is State.bad and listen in finding.found and "people_listen" in finding.fix
    assert one(found, "audit log").state is State.bad
    assert not [each for each in looked(tmp_path, people_listen=listen) if each.what == "people's port"]


def test_a_port_that_our_own_server_has_is_no_trouble(tmp_path: Path) -> None:
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert one(looked(tmp_path, listen=f"127.0.0.1:{server.server_port}"), "port").state is State.ok
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", "nowhere.invalid:8080", ":-1"])
def test_an_address_that_is_none_is_named_and_no_crash(tmp_path: Path, listen: str) -> None:
    assert one(looked(tmp_path, listen=listen), "port").state is State.bad


def test_a_full_disk_is_said_before_the_build_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED", 1 << 60)
    assert one(looked(tmp_path), "disk").state is State.bad


@pytest.mark.parametrize(
    ("now", "kept", "state"),
    [
        (0.0, True, State.bad),
        (1_900_000_000.0, True, State.ok),
        (1_900_000_000.0, False, State.warning),
        (1_900_000_000.0, None, State.warning),
    ],
)
def test_a_clock_of_yesterday_is_bad_and_one_that_nobody_keeps_a_warning(
    now: float, kept: bool | None, state: State
) -> None:
    assert checks._clock(now, kept).state is state


def test_the_kernel_is_asked_whether_the_clock_is_kept() -> None:
    assert checks.synchronised() in (True, False)


def test_nothing_is_made_of_what_is_only_looked_at(tmp_path: Path) -> None:
    looked(tmp_path, Part.controller)
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_version_or_that_is_away_is_said(tmp_path: Path) -> None:
    Store.open(tmp_path / "state", migrate=True)
    assert one(looked(tmp_path), "database").state is State.ok
    for file in (tmp_path / "state").glob("toweros.db-*"):
        file.unlink()
    (tmp_path / "state" / "toweros.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert one(looked(tmp_path), "database").state is State.bad
    away = looked(tmp_path, database="postgresql://ada:correct-horse@127.0.0.1:1/none")
    assert one(away, "database").state is State.bad
    assert "correct-horse" not in str(away)


def test_settings_that_name_what_is_not_there_are_said(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a secret")
    token.chmod(0o644)
    words = {"repository": str(tmp_path / "gone"), "git_token_file": token, "forge_token_file": tmp_path / "no"}
    found = looked(tmp_path, Part.controller, **words)
    assert one(found, "repository").state is State.bad
    assert one(found, "keys").state is State.bad
    assert one(found, "git_token_file").state is State.warning
    assert one(found, "forge_token_file").state is State.bad
    assert "a secret" not in str(found)


def test_machines_without_kvm_are_a_warning_and_no_failure(tmp_path: Path) -> None:
    assert one(looked(tmp_path, Part.vm), "kvm").state is State.warning
    assert not [finding for finding in looked(tmp_path) if finding.what == "kvm"]


def test_a_machine_without_time_zones_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's image of Debian: every pass of its controller failed."""
    assert one(looked(tmp_path), "time zones").state is State.ok
    for name in ("tzdata", *(name for name in sys.modules if name.startswith("tzdata."))):
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        found = one(looked(tmp_path), "time zones")
    finally:
        zoneinfo.reset_tzpath()
    assert found.state is State.bad and found.fix == "apt-get install tzdata"


def test_the_debian_package_and_the_machine_of_a_checkout_have_time_zones() -> None:
    assert "tzdata" in (home.CHECKOUT / "contrib" / "debian" / "control").read_text()
    assert "tzdata" in home.text("debian-packages.txt").split()
