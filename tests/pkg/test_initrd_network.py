"""The initrd's network, for repairs and starts without a disk, is what Git says; else DHCP wherever that answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.model.network.wiring import Link, Proxy, Wiring
from tests.kit.initrd import SCRIPT, initrd
from tests.kit.wires import Wires

MAC = "52:54:00:12:34:57"
UDHCPC = f'udhcpc() {{ shift 7; busybox udhcpc -q -n -t 5 -T 3 -s {SCRIPT.parent}/udhcpc-script "$@"; }}'


@pytest.fixture
def wires() -> Iterator[Wires]:
    with Wires() as made:
        made.connect("eth0", "far0")
        made.connect("eth1", "far1", MAC)
        made.far("ip address add 192.0.2.1/24 dev far1")
        yield made


def network(wires: Wires, run: Path, wiring: Wiring) -> str:
    """What is up afterwards."""
    shown = "ip -o -4 address show scope global\nip route\ncat /etc/resolv.conf"
    work = f'{UDHCPC}\nnetwork_up\n{shown}\necho "by $http_proxy"'
    say = 'say() { echo "$*"; }'
    return initrd("busybox sh", run, f"{say}\n{work}", within=wires.box.inside, NET=wiring.word)


def test_a_static_address_on_the_card_that_git_names(wires: Wires, tmp_path: Path) -> None:
    lan = Link("lan", mac=MAC, addresses=("192.0.2.10/24",), gateways=("192.0.2.1",))
    wiring = Wiring((lan,), dns=("192.0.2.53", "192.0.2.54"), proxy=Proxy("http://192.0.2.7:3128"))
    said = network(wires, tmp_path, wiring)
    assert "eth1    inet 192.0.2.10/24" in said and "eth0" not in said
    assert "default via 192.0.2.1 dev eth1" in said
    assert "nameserver 192.0.2.53\nnameserver 192.0.2.54\nby http://192.0.2.7:3128\n" in said
    assert (
        initrd("busybox sh", tmp_path, "network_down; ip -o -4 address", within=wires.box.inside, NETWORK_UP="1") == ""
    )


def test_of_a_bond_that_cannot_be_made_the_member_that_is_there(wires: Wires, tmp_path: Path) -> None:
    """A kernel without the driver, and a first member that is not there."""
    links = (
        Link("a", mac="52:54:00:00:00:99"),
        Link("b", mac=MAC),
        Link("up", bond=("a", "b"), mode="802.3ad", addresses=("192.0.2.10/24",), gateways=("192.0.2.1",)),
    )
    wires.box("masters=/sys/class/net/bonding_masters; [ ! -e $masters ] || mount --bind /dev/full $masters")
    said = network(wires, tmp_path, Wiring(links))
    assert "eth1    inet 192.0.2.10/24" in said and "eth0" not in said and "DHCP" not in said


def test_without_that_card_the_box_asks_by_dhcp_on_every_one(wires: Wires, tmp_path: Path) -> None:
    wires.far.start(
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--interface=far1",
        f"--dhcp-leasefile={tmp_path / 'leases'}", "--pid-file", "--dhcp-range=192.0.2.100,192.0.2.120"
    )  # fmt: skip
    wires.box("ip link delete eth0")  # nobody answers there
    other = Link("lan", mac="52:54:00:00:00:99", addresses=("198.51.100.10/24",))
    said = network(wires, tmp_path, Wiring((other,), dns=("192.0.2.53",)))
    assert "asking by DHCP" in said and "eth1    inet 192.0.2.1" in said and "nameserver 192.0.2.53" in said


def test_a_server_that_is_exempt_from_the_proxy_is_asked_without_it(tmp_path: Path) -> None:
    """The word for the initrd has the proxy, and not who is exempt: a layer is repaired all the same."""
    work = """
    network_up() { http_proxy=http://192.0.2.7:3128 && export http_proxy; }
    arm_watchdog() { :; }; say() { :; }; sleep() { :; }
    wget() { echo "$*"; case $* in *"-Y off"*) ;; *) return 1 ;; esac; }
    fetch /layers/one file && echo came
    """
    assert initrd("busybox sh", tmp_path, work, SERVER="http://server").splitlines()[-1] == "came"


def test_a_machine_with_more_cards_than_the_watchdog_has_patience_asks_on_each(tmp_path: Path) -> None:
    for number in range(13):
        (tmp_path / "net" / f"eth{number}").mkdir(parents=True)
    work = "ip() { :; }; feed() { waited=0; }\n"
    work += "udhcpc() { waited=$((${waited:-0} + 15)); [ $waited -lt $WATCHDOG ] || echo bitten >&3; return 1; }\n"
    work += "{ dhcp_somewhere || echo asked; } 3>&1"
    assert initrd("busybox sh", tmp_path, work, NETS=str(tmp_path / "net")) == "asked\n"
