"""pkg/modem talks to a card: it is unlocked by its PIN, and a PIN that it refused is never sent again.

PPP itself is in tests/e2e/test_radio.py: this machine's kernel may have none. Here a line like PPP's is a tun device.
"""

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from gitops.model.network.radio import Modem
from gitops.model.network.wiring import Link, Wiring
from tests.kit.initrd import SHELLS
from tests.kit.wires import Wires, until

FILES = Path(__file__).parents[2] / "pkg" / "modem" / "files" / "usr"
PIN = "4711"
both_shells = pytest.mark.parametrize("shell", SHELLS)


class Card:
    """A modem with a SIM, at the far end of a pty. `left`: how many wrong PINs close the card."""

    def __init__(self, pin: str = PIN, *, opened: bool = False) -> None:
        self.pin, self.open, self.left, self.heard = pin, opened, 3, list[str]()
        self._far, near = pty.openpty()
        os.set_blocking(near, True)
        self.near = near
        Thread(target=self._talk, daemon=True).start()

    def _talk(self) -> None:
        line = b""
        while True:
            try:
                got = os.read(self._far, 1)
            except OSError:
                return
            line += got
            if got in (b"\r", b"\n") and line.strip():
                self._answer(line.strip().decode())
                line = b""

    def _answer(self, command: str) -> None:
        self.heard.append(command)
        words = "OK"
        if command == "AT+CPIN?":
            words = (
                "+CPIN: READY\r\n\r\nOK" if self.open else "+CPIN: SIM PIN\r\n\r\nOK" if self.left else "+CPIN: SIM PUK"
            )
        elif command.startswith("AT+CPIN="):
            self.open = command == f'AT+CPIN="{self.pin}"'
            self.left -= not self.open
            words = "OK" if self.open else "+CME ERROR: incorrect password"
        elif command.startswith("ATD"):
            words = "CONNECT 150000000" if self.open else "NO CARRIER"
        os.write(self._far, f"\r\n{words}\r\n".encode())


class Talk:
    """What start-modem makes of the network file and the secrets, and a call by it."""

    def __init__(self, folder: Path, shell: str, *, ipv6: bool = False) -> None:
        self.folder, self.shell = folder, shell
        (folder / "secrets").mkdir()
        link = Link("cell", modem=Modem("internet.example", "ttyX1", "sim", ipv6=ipv6))
        (folder / "network").write_text(Wiring((link,)).text())

    def options(self, pin: str) -> str:
        (self.folder / "secrets" / "sim").write_text(pin)
        (self.folder / "own").mkdir(exist_ok=True)
        script = (FILES / "bin" / "start-modem").read_text().removesuffix("main\n")
        assert script.rstrip().endswith("}")
        done = subprocess.run(
            [*self.shell.split(), "-c", f"{script}\ntty=ttyX1\noptions cell"],
            capture_output=True, text=True, check=False,
            env={
                **os.environ, "NETWORK_FILE": str(self.folder / "network"), "MODEM_OWN": str(self.folder / "own"),
                "MODEM_SECRETS": str(self.folder / "secrets"), "MODEM_LIB": str(FILES / "lib" / "toweros"),
            },
        )  # fmt: skip
        return done.stdout + done.stderr

    def call(self, card: Card) -> tuple[int, str]:
        command = ["sh", str(FILES / "lib" / "toweros" / "modem-connect"), str(self.folder / "own" / "cell")]
        done = subprocess.run(
            [*command, str(self.folder / "kept")], stdin=card.near, stdout=card.near, stderr=subprocess.PIPE,
            text=True, timeout=60, check=False, start_new_session=True
        )  # fmt: skip
        return done.returncode, done.stderr


@pytest.fixture
def talk(tmp_path: Path) -> Callable[[str], Talk]:
    return lambda shell: Talk(tmp_path, shell)


@both_shells
def test_a_card_is_unlocked_once_and_its_line_is_called(talk: Callable[[str], Talk], shell: str) -> None:
    line, card = talk(shell), Card()
    said = line.options(PIN)
    assert "defaultroute-metric 5000" in said and "noipv6\n" in said and PIN not in said
    assert line.call(card)[0] == 0
    assert card.heard[-2:] == ['AT+CGDCONT=1,"IP","internet.example"', "ATD*99***1#"]
    code, said = line.call(card)
    assert code == 0 and PIN not in said and sum("CPIN=" in each for each in card.heard) == 1, "it is open now"


@both_shells
def test_both_protocols_are_asked_for_where_git_says_so(tmp_path: Path, shell: str) -> None:
    line, card = Talk(tmp_path, shell, ipv6=True), Card()
    said = line.options(PIN)
    assert "\n+ipv6 ipv6cp-accept-local\n" in said and "noipv6" not in said
    assert line.call(card)[0] == 0
    assert card.heard[-2:] == ['AT+CGDCONT=1,"IPV4V6","internet.example"', "ATD*99***1#"]


@both_shells
def test_the_operators_router_is_heard_on_its_line_alone_and_used_after_cables(tmp_path: Path, shell: str) -> None:
    """By a box that forwards, as Docker lets it; again after the line was lost, by another net."""
    busybox = tmp_path / "bin"  # as in the package, which has no other `ip`
    busybox.mkdir()
    (busybox / "ip").symlink_to("/usr/bin/busybox")
    (tmp_path / "cell.options").write_text("noauth\ndefaultroute\ndefaultroute-metric 5000\n")
    script = f"{FILES / 'lib' / 'toweros' / 'modem-six'} cell /dev/ttyX1 115200 fe80::1 fe80::2 {tmp_path / 'cell'}"
    with Wires() as wires:
        wires.box("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra")
        for number in (1, 2):
            with wires.dialled("cell", "far"):
                wires.far(f"ip address add 2001:db8:{number}::1/64 dev far nodad")
                router = wires.far.start(
                    "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--interface=far",
                    "--bind-interfaces", "--pid-file", f"--dhcp-leasefile={tmp_path / 'leases'}", "--enable-ra",
                    f"--dhcp-range=2001:db8:{number}::,ra-only,64", "--ra-param=far,600", log=tmp_path / "log"
                )  # fmt: skip
                wires.box(f"PATH={busybox}:$PATH NETWORK_IPV6=/proc/sys/net/ipv6 {shell} {script}")
                until(lambda: "default" in wires.box("ip -6 route"), lambda: (tmp_path / "log").read_text())
                wires.box(f"busybox ping -6 -c 1 -W 5 2001:db8:{number}::1")
                said = wires.box("ip -6 route show default; ip address show dev cell scope global")
                assert (
                    "default via fe80::2 dev cell proto ra metric 5000" in said and f"2001:db8:{number}::1/64" in said
                )
                router.kill()
        assert wires.box("cat /proc/sys/net/ipv6/conf/default/accept_ra") == "0\n", "what else comes hears nobody"


def test_a_pin_that_the_card_refused_is_never_sent_again(talk: Callable[[str], Talk]) -> None:
    """Three of them close it: pppd calls again and again, and a box starts again."""
    line, card = talk("sh"), Card()
    line.options("9999")
    assert line.call(card)[0] != 0 and card.left == 2
    for _ in range(4):
        line.options("9999")
        code, said = line.call(card)
        assert code != 0 and "is not sent again" in said and "9999" not in said
    assert card.left == 2
    line.options(PIN)  # another one comes
    assert line.call(card)[0] == 0


def test_a_card_that_wants_its_puk_is_let_alone(talk: Callable[[str], Talk]) -> None:
    line, card = talk("sh"), Card()
    card.left = 0
    line.options(PIN)
    code, said = line.call(card)
    assert code != 0 and "PUK" in said and not any("CPIN=" in each for each in card.heard)


@both_shells
def test_what_is_no_pin_is_told_and_not_sent(talk: Callable[[str], Talk], shell: str) -> None:
    line = talk(shell)
    for pin, told in (("12", "has 2 characters"), ("47 1", "other characters than digits"), ("", "is not here")):
        said = line.options(pin)
        assert told in said and "connect" not in said, said
