"""What an upgrade of a fleet repo would lose is said, with the command that brings it back."""

from pathlib import Path

import pytest

from gitops.cli.repo import upgrade as command
from gitops.fleet.packages.lockfile import dump_lock
from gitops.model import LockedFile
from gitops.source.upgrade import Upgraded
from gitops.workflows.upgrade import older
from tests.kit.console import toweros
from tests.kit.site import Site

WANTED = b"deb tool\n"


def locked(**versions: str) -> bytes:
    rows = [
        LockedFile("deb", name, version, "ab" * 32, 1, f"pool/main/t/tool/{name}_{version}_amd64.deb")
        for name, version in versions.items()
    ]
    return dump_lock(WANTED, rows)


@pytest.fixture
def upgraded(site: Site) -> tuple[Path, Upgraded]:
    """The fleet had a fix of libssl3; the upgrade's lock, made before it came, has not."""
    ours, theirs = locked(tool="1.0", libssl3="3.5.9-1", libz="1"), locked(tool="1.1", libssl3="3.5.8-1", less="5")
    site.commit({"pkg/hello/packages.in": WANTED.decode(), "pkg/hello/packages.lock": ours.decode()})
    before = site.remote.git("rev-parse", "HEAD")
    site.commit({"pkg/hello/packages.lock": theirs.decode()})
    after = site.remote.git("rev-parse", "HEAD")
    return site.remote.work, Upgraded("0.1.0", "0.2.0", before, after, ("pkg/hello",), (), ())


def test_what_becomes_older_is_named(upgraded: tuple[Path, Upgraded]) -> None:
    assert older(*upgraded) == ("pkg/hello: libssl3 3.5.9-1 -> 3.5.8-1",)


def test_the_command_says_so_and_fails_so_that_no_script_pushes(
    upgraded: tuple[Path, Upgraded], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, done = upgraded
    monkeypatch.setattr(command, "merge", lambda *_, **__: done)
    said = toweros("upgrade", "-C", folder)
    assert said.exit_code == 1 and "libssl3 3.5.9-1 -> 3.5.8-1" in said.output
    assert "toweros lock pkg/hello" in said.output
