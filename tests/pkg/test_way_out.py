"""Services take the proxy, the authorities and the clocks that Git names from the one file that says them."""

import subprocess
from pathlib import Path

import pytest

from gitops.model.network.wiring import Proxy, Wiring
from tests.kit.initrd import SHELLS

PACKAGES = Path(__file__).parents[2] / "pkg"
PROXY = Proxy("http://proxy.example:3128", "http://secure.example:3129", ("192.0.2.0/24", ".lab.example"))


def clocks(shell: str, folder: Path, wiring: Wiring | None) -> str:
    """The settings with which chronyd is started."""
    network = folder / "network"
    network.unlink(missing_ok=True)
    if wiring:
        network.write_text(wiring.text())
    shown = folder / "chronyd"
    shown.write_text('#!/bin/sh\nfor file; do :; done\ncat "$file"\n')
    shown.chmod(0o755)
    files = PACKAGES / "ntp" / "files"
    environment = {
        "NETWORK": str(network),
        "CONF": str(files / "etc/chrony/chrony.conf"),
        "OWN": str(folder / "own"),
        "CHRONYD": str(shown),
        "PATH": "/usr/bin:/bin",
    }
    command = [*shell.split(), str(files / "usr/bin/start-ntpd")]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_clocks_that_git_names_are_asked_in_place_of_the_pool(shell: str, tmp_path: Path) -> None:
    for nothing in (None, Wiring(proxy=PROXY)):
        assert "pool pool.ntp.org iburst\n" in clocks(shell, tmp_path, nothing)
    said = clocks(shell, tmp_path, Wiring(ntp=("clock.site.example", "192.0.2.5")))
    assert said.endswith("server clock.site.example iburst\nserver 192.0.2.5 iburst\n")
    assert "pool" not in said.replace("the pool", "") and "makestep" in said


@pytest.mark.parametrize("shell", SHELLS)
def test_the_engine_pulls_through_the_proxy_and_believes_the_sites_authority(shell: str, tmp_path: Path) -> None:
    script = (PACKAGES / "docker/files/usr/bin/start-docker").read_text().replace("${1:-main}", "way_out")
    (tmp_path / "network").write_text(Wiring(proxy=PROXY, ntp=("a.example",)).text())
    (tmp_path / "ca.crt").write_text("")

    def words(folder: Path) -> set[str]:
        environment = {
            "NETWORK": str(folder / "network"),
            "AUTHORITIES": str(folder / "ca.crt"),
            "PATH": "/usr/bin:/bin",
        }
        command = [*shell.split(), "-c", f"{script}\nenv"]
        out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        return {line for line in out.splitlines() if "PROXY" in line or "CERT" in line}

    assert words(tmp_path) == {
        "HTTP_PROXY=http://proxy.example:3128",
        "HTTPS_PROXY=http://secure.example:3129",
        "NO_PROXY=192.0.2.0/24,.lab.example",
        f"SSL_CERT_DIR=/etc/ssl/certs:{tmp_path}",
    }
    assert words(tmp_path / "nowhere") == set()
