"""The systemd units of contrib/ let their programs do what they must and no more; docs/deploy.md tells the figures."""

import re
import shutil
import subprocess

import pytest

from tests.kit.docs import CHECKOUT

UNITS = ("toweros.service", "toweros-server.service")
PAGE = (CHECKOUT / "docs" / "deploy.md").read_text()
WANTED = {"setpriority", "execve", "socket", "bind", "clone3", "futex", "epoll_wait"}
"""What the update server was seen to call and the unit might take away: setpriority is of @resources."""


def unit(name: str) -> dict[str, list[str]]:
    """Each key's values, in order; an empty one stays."""
    said: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Z]\w+)=(.*)$", (CHECKOUT / "contrib" / name).read_text(), re.M):
        said.setdefault(key, []).append(value)
    return said


def calls(group: str) -> set[str]:
    """The system calls of one of systemd's groups, and of those within it."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    names = {line.strip() for line in listed.stdout.splitlines()[1:]} - {""}
    within = {name for name in names if name.startswith("@")}
    plain = {name for name in names - within if not name.startswith("#")}
    return plain.union(*map(calls, within)) if within else plain


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_the_exposure_is_what_the_page_says(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", CHECKOUT / "contrib" / name]
    said = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"exposure level for .*: (\d+\.\d)", said.stdout + said.stderr)
    assert found, said.stderr
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout
    row = re.search(r"`systemd-analyze security` \| (\S+) \| (\S+) \|", PAGE)
    assert row
    if "systemd 252" in version:
        assert found[1] == row[UNITS.index(name) + 1]
    assert float(found[1]) < (6.0 if name == UNITS[0] else 2.0)


@needs_systemd
def test_the_server_keeps_the_system_calls_that_it_makes() -> None:
    allowed, refused = unit(UNITS[1])["SystemCallFilter"]
    assert (allowed, refused[0]) == ("@system-service", "~")
    kept = calls(allowed) - set().union(*map(calls, refused[1:].split()))
    assert kept >= WANTED
    assert not kept & {"mount", "setuid", "init_module", "reboot", "ptrace", "chroot", "settimeofday"}


def test_the_server_holds_no_capability_and_cannot_see_the_keys() -> None:
    said = unit(UNITS[1])
    assert said["User"] == ["toweros"] and said["CapabilityBoundingSet"] == [""]
    assert said["NoNewPrivileges"] == ["yes"] and said["ProtectSystem"] == ["strict"]
    assert said["InaccessiblePaths"] == ["-/etc/toweros/keys"]
    assert "ReadWritePaths" not in said and "StateDirectory" not in said, "systemd would give it the state folder"


def test_the_controller_has_the_capabilities_that_the_page_counts_and_no_other() -> None:
    said = unit(UNITS[0])
    capabilities = said["CapabilityBoundingSet"][0].split()
    assert len(capabilities) == len(set(capabilities)) == 15 and "fifteen" in PAGE
    assert not {"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_SYS_PTRACE"} & set(capabilities)
    assert said["ProtectSystem"] == ["strict"] and said["NoNewPrivileges"] == ["yes"]
    assert set(said["ReadWritePaths"][0].split()) == {"/var/lib/toweros", "/etc/toweros"}
