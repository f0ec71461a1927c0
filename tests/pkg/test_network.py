"""The box's network service carries out /etc/toweros/network: with real links in namespaces, and a real DHCP server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.model.network.wiring import Link, Route, Wiring
from tests.kit.initrd import SHELLS
from tests.kit.wires import LIBRARY, Service, Wires, until

MAC, OTHER = "52:54:00:12:34:56", "52:54:00:12:34:57"


both_shells = pytest.mark.parametrize("service", SHELLS, indirect=True)


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with Wires() as wires:
        wires.connect("eth0", "far0", MAC)
        wires.connect("eth1", "far1", OTHER)
        yield Service(wires, tmp_path, getattr(request, "param", SHELLS[1]))


def dnsmasq(service: Service, folder: Path, name: str, *words: str) -> None:
    service.wires.far.start(
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", f"--interface={name}",
        f"--dhcp-leasefile={folder / 'leases'}", "--pid-file", "--bind-interfaces", *words, log=folder / "dnsmasq"
    )  # fmt: skip


def test_static_addresses_on_a_card_that_is_found_by_its_mac(service: Service) -> None:
    lan = Link(
        "lan", mac=OTHER, addresses=("192.0.2.10/24", "2001:db8::10/64"), gateways=("192.0.2.1", "2001:db8::1"),
        routes=(Route("198.51.100.0/24", "192.0.2.7"),), mtu=1400
    )  # fmt: skip
    text = Wiring((lan,), dns=("192.0.2.53",)).text()
    service.wires.far("ip address add 192.0.2.1/24 dev far1")
    with service.run(text):
        until(lambda: len(service.addresses("eth1")) == 2 and "198.51.100" in service.routes(), service.said)
        assert service.addresses("eth0") == [], "the other card is nobody's"
        assert "default via 192.0.2.1 dev eth1 metric 100" in service.routes()
        assert "default via 2001:db8::1 dev eth1 metric 100" in service.routes()
        assert service.wires.box("cat /sys/class/net/eth1/mtu") == "1400\n"
        assert service.resolv.read_text() == "nameserver 192.0.2.53\n"
        service.wires.box("ping -c 1 -W 5 192.0.2.1 || busybox ping -c 1 -W 5 192.0.2.1")
        before = (service.addresses("eth1"), service.routes())
        service.wires.box("ip address flush dev eth1; ip link set eth0 up")  # a card that changed: all again
        until(lambda: (service.addresses("eth1"), service.routes()) == before, service.said)
    with service.run(text):  # started again over what is there
        until(lambda: (service.addresses("eth1"), service.routes()) == before, service.said)
    moved = Wiring((Link("lan", mac=MAC, addresses=("203.0.113.9/24",)),)).text()
    with service.run(moved):
        until(lambda: service.addresses("eth0") == ["203.0.113.9/24"], service.said)
        assert service.addresses("eth1") == [], "of the file before nothing is left"
    assert "could not" not in service.said()


def test_a_card_that_comes_late_is_taken_when_it_comes(service: Service) -> None:
    late = "52:54:00:00:00:99"
    links = (Link("late", mac=late, addresses=("192.0.2.10/24",)), Link("lan", mac=MAC, addresses=("203.0.113.9/24",)))
    with service.run(Wiring(links).text()):
        until(lambda: service.addresses("eth0") == ["203.0.113.9/24"], service.said)
        assert service.said().count(f"late is not there: no network card with mac {late}") == 1
        service.wires.connect("usb0", "far2", late)
        until(lambda: service.addresses("usb0") == ["192.0.2.10/24"], service.said)


def test_dhcp_on_one_link_alone_and_what_routers_announce_on_another(service: Service, tmp_path: Path) -> None:
    service.wires.far("ip address add 192.0.2.1/24 dev far0; ip address add 2001:db8:7::1/64 dev far1 nodad")
    dnsmasq(service, tmp_path, "far0", "--dhcp-range=192.0.2.100,192.0.2.120", "--dhcp-option=option:router,192.0.2.1")
    dnsmasq(service, tmp_path, "far1", "--enable-ra", "--dhcp-range=2001:db8:7::,ra-only,64", "--ra-param=far1,4")
    links = (Link("lan", mac=MAC, dhcp=True, metric=7), Link("six", mac=OTHER, slaac=True))
    with service.run(Wiring(links, dns=("192.0.2.53",)).text()):
        until(lambda: any(each.startswith("192.0.2.1") for each in service.addresses("eth0")), service.said)
        until(lambda: any(each.startswith("2001:db8:7:") for each in service.addresses("eth1")), service.said)
        until(lambda: "default via 192.0.2.1 dev eth0" in service.routes(), service.routes)
        assert "metric 7" in service.routes() and not any("." in each for each in service.addresses("eth1"))
        assert service.resolv.read_text() == "nameserver 192.0.2.53\n", "what Git says, and not what DHCP says"


def test_a_static_link_hears_no_router_that_nobody_asked(service: Service, tmp_path: Path) -> None:
    """Whoever is in that network could have given the box another way out."""
    service.wires.far(
        "for card in far0 far1; do ip address add 2001:db8:$((${card#far} + 7))::1/64 dev $card nodad; done"
    )
    for card in ("far0", "far1"):
        net = f"2001:db8:{int(card[-1]) + 7}::"
        words = ("--enable-ra", f"--dhcp-range={net},ra-only,64", f"--ra-param={card},4")
        dnsmasq(service, tmp_path, card, *words)
    service.wires.box("ip link set eth0 up")
    until(lambda: service.addresses("eth0"), service.routes)  # heard before the service started
    links = (Link("lan", mac=MAC, addresses=("192.0.2.10/24",)), Link("six", mac=OTHER, slaac=True))
    with service.run(Wiring(links).text()):
        until(lambda: any(each.startswith("2001:db8:8:") for each in service.addresses("eth1")), service.said)
        until(lambda: service.addresses("eth0") == ["192.0.2.10/24"], service.routes)
        assert service.wires.box("cat /proc/sys/net/ipv6/conf/eth0/accept_ra") == "0\n", "nor later"
        assert not [line for line in service.routes().splitlines() if "eth0" in line and "proto ra" in line]


def test_a_machine_none_of_whose_cards_is_named_asks_by_dhcp_until_one_is(service: Service, tmp_path: Path) -> None:
    """Its board was changed, and the release is blessed: nothing goes back, and nobody could tell it."""
    service.wires.far("ip address add 192.0.2.1/24 dev far0")
    dnsmasq(service, tmp_path, "far0", "--dhcp-range=192.0.2.100,192.0.2.120", "--dhcp-option=option:router,192.0.2.1")
    late = "52:54:00:00:00:99"
    with service.run(Wiring((Link("lan", mac=late, addresses=("203.0.113.9/24",)),)).text(), again=2):
        until(lambda: any(each.startswith("192.0.2.1") for each in service.addresses("eth0")), service.said)
        service.wires.connect("usb0", "far2", late)
        until(lambda: service.addresses("usb0") == ["203.0.113.9/24"], service.said)


GARBAGE = {
    "network 2\nlink lan name eth0\n": "no `network 1`",
    "network 1\nlink lan name eth0\naddress lan\n": "line 3: `address` with 1 words",
    "network 1\nlink lan mac $(reboot)\n": "line 2 cannot be read",
    "network 1\nlink ../../x name eth0\n": "line 2: ../../x is no name of a link",
    "network 1\nlink lan name eth0\nmtu lan many\n": "line 3: many is no number",
    "": "it is empty",
}


@both_shells
def test_garbage_is_refused_whole_and_the_box_asks_by_dhcp(service: Service) -> None:
    for text, why in GARBAGE.items():
        told = service.wires.box(f". {LIBRARY}; mistake /dev/stdin <<'END'\n{text}END\n")
        assert why in told, (text, told)
    with service.run("network 1\nlink lan name eth1\naddress lan 192.0.2.9/24 and more\n"):
        until(lambda: "dhcpcd-" in service.said(), service.said)
        plain = (service.folder / "run" / "plain.conf").read_text()
    assert "every network card asks by DHCP" in service.said() and "allowinterfaces eth* en*" in plain
    assert service.addresses("eth1") == []


def test_words_of_a_newer_controller_are_left_out(service: Service) -> None:
    with service.run("network 1\nlink lan name eth0\nwifi lan site-7 wpa3\naddress lan 192.0.2.10/24\n"):
        until(lambda: service.addresses("eth0") == ["192.0.2.10/24"], service.said)
