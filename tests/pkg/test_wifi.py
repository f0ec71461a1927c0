"""pkg/wifi lets a link in by 802.1X, with real programs at both ends of a cable: wpa_supplicant and hostapd.

Radios are in tests/e2e/test_radio.py: this machine's kernel may have none.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.model.network.radio import Access
from gitops.model.network.wiring import Link, Wiring
from tests.kit.authority import Authority
from tests.kit.wires import PACKAGE, Service, Wires, until

START = PACKAGE.parent / "wifi" / "files" / "usr" / "bin" / "start-wifi"
PASSWORD = "correct horse # 7"
SERVER = "radius.example"
HOSTAPD = """interface=far0
driver=wired
ieee8021x=1
eap_server=1
use_pae_group_addr=1
eap_user_file={folder}/users
ca_cert={folder}/ca.crt
server_cert={folder}/server.pem
private_key={folder}/server.pem
"""
USERS = f'"cert-box" TLS\n* PEAP\n"box" MSCHAPV2 "{PASSWORD}" [2]\n'


@dataclass
class Lan:
    """A cable into a network that lets nobody in unasked."""

    wires: Wires
    folder: Path
    authority: Authority

    def run(self, access: Access, authorities: str) -> None:
        link = Link("lan", addresses=("192.0.2.10/24",), access=access)
        service = Service(self.wires, self.folder, "sh")
        service.file.write_text(Wiring((link,)).text().replace("link lan name lan", "link lan name eth0"))
        (self.folder / "run" / "links").mkdir(parents=True)
        (self.folder / "run" / "links" / "lan").write_text("eth0\n")
        (self.folder / "authorities").write_text(authorities)
        self.wires.box("ip link set eth0 up")
        self.wires.box.start(
            "sh", str(START), log=self.folder / "log", NETWORK_FILE=str(service.file), NETWORK_LOOK="0.2",
            NETWORK_RUN=str(self.folder / "run"), NETWORK_AUTHORITIES=str(self.folder / "authorities"),
            WIFI_SECRETS=str(self.folder / "secrets"), WIFI_OWN=str(self.folder / "own"),
        )  # fmt: skip

    def bring(self, name: str, text: str) -> None:
        """What `toweros box secret` does."""
        (self.folder / "secrets" / name).write_text(text)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def met(self) -> str:
        return (self.folder / "hostapd").read_text()


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    authority = Authority()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "users").write_text(USERS)
    (tmp_path / "ca.crt").write_text(authority.pem)
    (tmp_path / "server.pem").write_text(authority.holder(SERVER))
    (tmp_path / "hostapd.conf").write_text(HOSTAPD.format(folder=tmp_path))
    with Wires() as wires:
        wires.connect("eth0", "far0")
        wires.far.start("hostapd", str(tmp_path / "hostapd.conf"), log=tmp_path / "hostapd")
        yield Lan(wires, tmp_path, authority)


def test_a_password_that_comes_late_lets_a_cable_in_and_is_said_nowhere(lan: Lan) -> None:
    lan.run(Access("peap", secret="site", identity="box", server=SERVER), lan.authority.pem)
    until(lambda: "`toweros box secret` brings it" in lan.said(), lan.said)
    lan.bring("site", PASSWORD + "\n")
    until(lambda: "CTRL-EVENT-EAP-SUCCESS" in lan.met(), lambda: lan.said() + lan.met())
    assert "METHOD vendor=0 method=25" in lan.met()
    assert lan.said().count("brings it") == 1 and PASSWORD not in lan.said()
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in shown
    # What it looks at again and again is beside it for a moment.
    modes = {path.stat().st_mode & 0o777 for path in (lan.folder / "own").iterdir() if path.suffix != ".new"}
    holders = [
        path.name for path in (lan.folder / "own").iterdir() if path.suffix != ".new" and PASSWORD in path.read_text()
    ]
    assert modes == {0o600} and len(holders) == 1


def test_a_key_with_its_certificate_lets_a_cable_in(lan: Lan) -> None:
    lan.bring("site", lan.authority.holder("cert-box"))
    lan.run(Access("tls", secret="site", identity="cert-box", server=SERVER), lan.authority.pem)
    until(lambda: "CTRL-EVENT-EAP-SUCCESS" in lan.met(), lambda: lan.said() + lan.met())


@pytest.mark.parametrize("wrong", ["another authority", "another name"])
def test_a_server_that_git_does_not_know_hears_no_password(lan: Lan, wrong: str) -> None:
    """Whoever calls himself the network could try all passwords at home."""
    lan.bring("site", PASSWORD)
    server = "radius.evil.example" if wrong == "another name" else SERVER
    authority = Authority().pem if wrong == "another authority" else lan.authority.pem
    lan.run(Access("peap", secret="site", identity="box", server=server), authority)
    until(lambda: "CTRL-EVENT-EAP-FAILURE" in lan.said() or "CTRL-EVENT-EAP-TLS-CERT-ERROR" in lan.said(), lan.said)
    assert "CTRL-EVENT-EAP-SUCCESS" not in lan.met()
