"""`network:` of fleet, role and box: links, what is merged of them, what cannot work, and what reaches the box."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.fleet import load_fleet
from gitops.fleet.network.rules import NetworkRules
from gitops.fleet.repo import judge_fleet
from gitops.model import Box, Network
from gitops.model.network.mistakes import mistakes
from gitops.model.network.wiring import Link, Wiring
from tests.kit.authority import Authority
from tests.kit.fleets import package
from tests.simulators.tree import DictTree

CARRIES = (
    "image: dhcpcd\nconfig:\n  net: host\n  capabilities: [CAP_NET_ADMIN]\n  binds: ['/etc/toweros:/etc/toweros:ro']\n"
)
BASE = (
    {
        "fleet.yaml": "",
        "boot/a.yml": 'kernel: {image: "@pkg:../pkg/kernel"}\ninit: ["@pkg:../pkg/init"]\n'
        'services: [{name: dhcpcd, image: "@pkg:../pkg/dhcpcd"}]\n',
        "roles/vm.yaml": "boot: [boot/a.yml]\n",
    }
    | package("pkg/init")
    | package("pkg/kernel")
    | package("pkg/dhcpcd")
    | {"pkg/dhcpcd/build.yml": CARRIES}
)
MAC = "52:54:00:12:34:56"


def tree(network: str, **files: str) -> DictTree:
    return DictTree(BASE | {"boxes/one.yaml": f"role: vm\nnetwork:\n  {network}\n"} | files)


def box(network: str, **files: str) -> Box:
    return load_fleet(tree(network, **files)).boxes["one"]


def told(network: str, **files: str) -> list[str]:
    return [str(problem) for problem in judge_fleet(tree(network, **files)).problems]


def file_of(one: Box, path: str = "etc/toweros/network") -> str:
    return next((str(file["contents"]) for file in one.files if file["path"] == path), "")


def test_a_vlan_over_a_card_that_is_found_by_its_mac() -> None:
    links = f'{{lan: {{mac: "{MAC.upper()}", mtu: 9000}}, mgmt: {{parent: lan, vlan: 7, addresses: [192.0.2.10/24], '
    one = box(f"links: {links}gateways: [192.0.2.1]}}}}\n  dns: [192.0.2.53]")
    assert file_of(one) == (
        f"network 1\nlink lan mac {MAC}\nmtu lan 9000\nvlan mgmt lan 7\naddress mgmt 192.0.2.10/24\n"
        "gateway mgmt 192.0.2.1 100\ndns 192.0.2.53\n"
    )
    assert file_of(one, "etc/dhcpcd.conf.d/50-box.conf") == "", "one program carries it out"
    assert one.network == Network("mgmt", "192.0.2.10/24", "192.0.2.1", ("192.0.2.53",)), "for whoever logs in there"
    assert one.wiring and one.wiring.word == (
        f"static+address=192.0.2.10/24+gateway=192.0.2.1+on=mac:{MAC}+vlan=7+dns=192.0.2.53"
    )


def test_the_initrd_hears_of_a_bond_by_all_its_members() -> None:
    """Of which an initrd of before takes the first."""
    links = f'{{a: {{mac: "{MAC}"}}, b: {{bus: "0000:00:04.0"}}, up: {{bond: [a, b], mode: 802.3ad, dhcp: true}}}}'
    one = box(f"links: {links}")
    assert one.wiring and one.wiring.word == f"dhcp+on=mac:{MAC}+member=bus:0000:00:04.0+bond=802.3ad"


def test_what_was_said_before_there_were_links_changes_no_box() -> None:
    for network in ("dhcp: true", "address: 192.0.2.10/24"):
        one = box(network)
        assert one.wiring is None and file_of(one) == ""


def test_a_role_has_links_and_its_box_adds_and_takes_away() -> None:
    role = (
        "boot: [boot/a.yml]\nnetwork:\n  links: {lan: {dhcp: true}, aux: {driver: e1000, dhcp: true}}\n"
        "  ntp: [clock.example]\n  proxy: {http: 'http://proxy.example:3128'}\n"
    )
    one = box("links: {aux: null, iot: {parent: lan, vlan: 9, slaac: true}}", **{"roles/vm.yaml": role})
    assert file_of(one) == (
        "network 1\nlink lan name lan\nvlan iot lan 9\ndhcp lan\nslaac iot\n"
        "proxy http http://proxy.example:3128\nntp clock.example\n"
    )
    assert one.wiring and one.wiring.word == "dhcp+proxy=http://proxy.example:3128"
    plain = box("address: 192.0.2.10/24", **{"roles/vm.yaml": role})
    assert file_of(plain).startswith("network 1\nlink eth0 name eth0\naddress eth0 192.0.2.10/24\nproxy")


WRONG = {
    "lan: {dhcp: true}, a: {parent: lna, vlan: 7, dhcp: true}": "there is no link `lna`; did you mean `lan`?",
    f'lan: {{mac: "{MAC}", dhcp: true}}, a: {{mac: "{MAC}", slaac: true}}': f"{MAC} is `lan` already",
    "lan: {addresses: [192.0.2.10/24], gateways: [198.51.100.1]}": "198.51.100.1 is outside of 192.0.2.0/24",
    "lan: {dhcp: true}, a: {parent: lan, vlan: 7, mtu: 9000, dhcp: true}": "9000 is more than the 1500 of `lan`",
    "lan: {}, up: {bond: [lan], dhcp: true}": "a bond of one",
    "lan: {addresses: [192.0.2.10/24]}, a: {addresses: [192.0.2.10/25]}": "(in part) the network of `lan`",
    "a: {parent: b, vlan: 1, dhcp: true}, b: {parent: a, vlan: 2}": "`a` stands on itself",
    "lan: {dhcp: true}, a: {}": "the link `a` has no address, and nothing stands on it",
    "lan: {addresses: [192.0.2.0/24]}": "192.0.2.0 means the network",
    "lan: {dhcp: true}, a: {parent: lan, dhcp: true}": "`parent` goes with `vlan`",
    "a: {}, b: {}, c: {bond: [a, b], dhcp: true}, d: {parent: a, vlan: 4, dhcp: true}": "part of the bond `c`",
    "a: {dhcp: true}, b: {}, c: {bond: [a, b], dhcp: true}": "addresses belong to the bond",
    "a: {dhcp: true}, eth1: {parent: a, vlan: 3, dhcp: true}": "the kernel gives the name `eth1` itself",
    "a: {addresses: [192.0.2.9/24], gateways: [192.0.2.1]}, b: {addresses: [192.0.3.9/24], gateways: [192.0.3.1]}": (
        "a second gateway for IPv4"
    ),
    "a: {addresses: ['2001:db8::9/64'], mtu: 1200}": "IPv6 needs 1280 octets",
    "lan: {dhcp: true, address: 192.0.2.1/24}": "unknown key `address`",
    "lo: {dhcp: true}": "the kernel gives the name `lo` itself",
    "lan: {dhcp: true, bus: PCI 3}": "the end of `readlink /sys/class/net/CARD/device`",
}


@pytest.mark.parametrize("links", WRONG)
def test_what_cannot_work_is_told_where_it_stands(links: str) -> None:
    said = told(f"links: {{{links}}}")
    assert len(said) <= 2 and any(WRONG[links] in line for line in said), said
    assert all(line.startswith("boxes/one.yaml:3:") for line in said)


AIR = {
    "boot/wifi.yml": 'services: [{name: wifi, image: "@pkg:../pkg/wifi"}]\n',
    "boot/modem.yml": 'services: [{name: modem, image: "@pkg:../pkg/modem"}]\n',
    "roles/vm.yaml": "boot: [boot/a.yml, boot/wifi.yml, boot/modem.yml]\n",
    "keys/radius.crt": Authority().pem,
    **package("pkg/wifi"),
    **package("pkg/modem"),
}


def test_a_radio_and_a_modem_are_links_and_their_secrets_are_names() -> None:
    air = "air: {driver: iwlwifi, wifi: {ssid: Café 7, security: wpa3, secret: site-7, country: DE}, dhcp: true}"
    cell = "cell: {bus: '1-1.3:1.2', modem: {apn: internet, pin: sim, user: a b, secret: isp}, probes: [192.0.2.1]}"
    one = box(f"links: {{{air}, {cell.replace('apn', 'ipv6: true, apn')}, eth0: {{dhcp: true}}}}", **AIR)
    assert "ipv6 cell" in (both := file_of(one).splitlines())
    one = box(f"links: {{{air}, {cell}, eth0: {{dhcp: true}}}}", **AIR)
    assert [line for line in both if line != "ipv6 cell"] == file_of(one).splitlines(), "an older box leaves it out"
    assert file_of(one).splitlines() == [
        "network 1", "link air driver iwlwifi", "access air wifi wpa3", f"ssid air {'Café 7'.encode().hex()}",
        "country air DE", "secret air site-7", "modem cell bus 1-1.3:1.2", "apn cell internet",
        f"user cell {b'a b'.hex()}", "pin cell sim", "secret cell isp", "link eth0 name eth0", "dhcp air",
        "metric cell 5000", "dhcp eth0", "probe cell 192.0.2.1"
    ]  # fmt: skip
    assert one.wiring and one.wiring.word == "dhcp"
    only = box("links: {air: {wifi: {ssid: a, security: open}, addresses: [192.0.2.9/24]}}", **AIR)
    assert only.wiring and only.wiring.word == "dhcp", "the initrd has no radio: a cable may help"
    tls = "wifi: {ssid: a, security: tls, secret: me, identity: me, server: radius.example}, dhcp: true"
    one = box(f"links: {{air: {{{tls}}}}}\n  ca: [keys/radius.crt]", **AIR)
    assert "access air wifi tls" in file_of(one) and "server air radius.example" in file_of(one)


NOT_BY_AIR = {
    "air: {wifi: {ssid: a, secret: correct horse battery}, dhcp: true}": "comes by `toweros box secret`",
    "air: {wifi: {ssid: a}, dhcp: true}": "`security: wpa2` needs a `secret`",
    "air: {wifi: {ssid: a, security: open, secret: b}, dhcp: true}": "an open network has no `secret`",
    f"air: {{wifi: {{ssid: {'é' * 17}, secret: b}}, dhcp: true}}": "1 to 32 bytes",
    "air: {wifi: {ssid: a, security: peap, secret: b, server: r}, dhcp: true}": "needs `identity`",
    "air: {wifi: {ssid: a, security: peap, secret: b, identity: c, server: r}, dhcp: true}": "nobody vouches for",
    "lan: {dot1x: {security: tls, secret: b, identity: c, server: r}, dhcp: true}": "nobody vouches for the server",
    "a: {wifi: {ssid: a, security: open}, dot1x: {security: tls, secret: b, identity: c, server: r}}": "or `dot1x`",
    "air: {wifi: {ssid: a, security: open}}, v: {parent: air, vlan: 7, dhcp: true}": "`air` is a wireless card",
    "cell: {modem: {apn: a, device: ttyUSB2}, dhcp: true}": "a modem has no `dhcp`",
    "cell: {modem: {apn: a}}": "say its `device`, or the link's `bus`",
    "cell: {modem: {apn: 'a\"; reboot', device: ttyUSB2}}": "apn",
    "cell: {modem: {apn: a, device: /dev/ttyUSB2}}": "such as ttyUSB2, without /dev/",
    "cell: {modem: {apn: a, device: cdc-wdm0}}": "cdc-wdm0 speaks QMI or MBIM, which nothing here does",
    "cell: {driver: qmi_wwan, dhcp: true}": "a card of `qmi_wwan` is silent until QMI or MBIM starts it",
    "cell: {driver: cdc_mbim, slaac: true}": "a card of `cdc_mbim` is silent",
    "a: {metric: 9, addresses: ['2001:db8::2/64'], gateways: ['2001:db8::1']}, "
    "b: {metric: 9, modem: {apn: a, device: ttyUSB3, ipv6: true}}": "a second way out for IPv6",
    "cell: {modem: {apn: a, device: ttyUSB2, pin: '1234'}}": "a PIN does not belong in Git",
    "cell: {modem: {apn: a, device: ttyUSB2, user: b}}": "`user` goes with `secret`",
    "ppp0: {modem: {apn: a, device: ttyUSB2}}": "the kernel gives the name `ppp0` itself",
    "a: {modem: {apn: a, device: ttyUSB2}}, b: {metric: 9, modem: {apn: a, device: ttyUSB2}}": "ttyUSB2 is `a` already",
    "a: {modem: {apn: a, device: ttyUSB2}}, b: {modem: {apn: a, device: ttyUSB3}}": "a second way out for IPv4",
}


@pytest.mark.parametrize("links", NOT_BY_AIR)
def test_what_no_radio_can_be_is_told_where_it_stands(links: str) -> None:
    said = told(f"links: {{{links}}}", **AIR)
    assert len(said) <= 2 and any(NOT_BY_AIR[links] in line for line in said), said
    assert all(line.startswith("boxes/one.yaml:3:") for line in said)


def test_a_role_without_the_service_that_lets_a_link_in_is_told_which_it_lacks() -> None:
    """It would wait for its network for ever."""
    said = told("links: {air: {wifi: {ssid: a, security: open}, dhcp: true}}")
    assert any("no service `wifi`, which the link `air` needs" in line and "boot/wifi.yml" in line for line in said)
    said = told("links: {cell: {modem: {apn: a, device: ttyUSB2}}}")
    assert any("no service `modem`" in line for line in said), said


def test_a_link_that_is_taken_away_and_is_not_there_is_named() -> None:
    """As `remove:` does: a slip of the pen left the link where it was, and nobody said so."""
    role = {"roles/vm.yaml": "boot: [boot/a.yml]\nnetwork: {links: {lan: {dhcp: true}, aux: {slaac: true}}}\n"}
    (said,) = told("links: {aix: null}", **role)
    assert said.startswith("boxes/one.yaml:3:") and "no link `aix` to take away; did you mean `aux`?" in said
    assert told("links: {aux: null}", **role) == []


def test_links_and_one_address_do_not_go_together() -> None:
    assert "`address` is said of each link" in told("links: {lan: {dhcp: true}}\n  address: 192.0.2.1/24")[0]


def test_name_servers_alone_are_said_at_any_level_and_go_with_dhcp() -> None:
    for network in ("dns: [192.0.2.53]", "dhcp: true\n  dns: [192.0.2.53]"):
        assert file_of(box(network)) == "network 1\ndns 192.0.2.53\n"
    role = "boot: [boot/a.yml]\nnetwork: {address: 192.0.2.10/24, gateway: 192.0.2.1, dns: [192.0.2.1]}\n"
    one = box("dns: [192.0.2.53]", **{"roles/vm.yaml": role})
    assert "address eth0 192.0.2.10/24\n" in file_of(one) and "dns 192.0.2.53\n" in file_of(one)
    assert "192.0.2.1 " in file_of(one) and "dns 192.0.2.1\n" not in file_of(one)
    assert "`gateway` goes with an `address`" in told("dhcp: true\n  gateway: 192.0.2.1")[0]


@pytest.mark.parametrize("said", ["ntp: ['a b']", "proxy: {http: 'http://a:1', exempt: ['*.lab']}", "ca: [site.crt]"])
def test_what_is_of_another_shape_comes_with_what_to_write(said: str) -> None:
    words = {"ntp": "such as clock.example", "proxy": "such as .lab.example", "ca": "keys/ca/site.crt"}
    assert words[said.partition(":")[0]] in told(said)[0]


def test_a_password_of_a_proxy_is_no_matter_of_git() -> None:
    said = told("proxy: {http: 'http://ada:secret@proxy.example:3128'}")
    assert (
        "no password belongs into Git" in said[0] and "secret" not in said[0].partition("\n")[0].partition("proxy:")[0]
    )


@pytest.mark.parametrize(
    "odd", ["http://proxy.example:3128#x", "http://pro\\txy.example:3128", "http://[2001:db8::7]:3128"]
)
def test_a_proxy_that_no_box_could_read_is_told_or_written_plainly(odd: str) -> None:
    """One line that cannot be read, and the box leaves all of its file out: it asks by DHCP."""
    said = told(f'proxy: {{http: "{odd}"}}')
    assert "a proxy by its name" in said[0] if "[" in odd else said == []
    if not said:
        url = NetworkRules.model_validate({"proxy": {"http": odd.replace("\\t", "\t")}}).proxy
        assert url and url.http == "http://proxy.example:3128"


def test_an_operating_system_that_reads_no_links_is_named() -> None:
    said = told("links: {lan: {dhcp: true}}", **package("pkg/dhcpcd"))
    assert ["boxes/one.yaml:3:3: no service of this box carries out" in line for line in said] == [True], said
    assert told("dhcp: true", **package("pkg/dhcpcd")) == []


def test_a_private_authority_comes_with_the_box() -> None:
    pem = Authority().pem
    one = box("ca: [keys/ca/site.crt]", **{"keys/ca/site.crt": f"# ours\n{pem}"})
    assert file_of(one, "etc/toweros/ca.crt") == pem and file_of(one) == "network 1\n"
    leaf = {"keys/site.crt": Authority(ca=False).pem, "keys/text.crt": "hello"}
    said = told("ca: [keys/site.crt, keys/text.crt, keys/none.crt]", **leaf)
    for words in ("not the certificate of an authority", "no certificate in PEM", "no file `keys/none.crt`"):
        assert any(words in line for line in said), said


names = st.sampled_from(["lan", "aux", "up", "mgmt", "iot"])
nets = st.sampled_from(["192.0.2.10/24", "192.0.2.11/25", "198.51.100.7/30", "2001:db8::7/64", "203.0.113.5/32"])
link = st.builds(
    Link,
    names,
    mac=st.sampled_from(["", MAC, "52:54:00:12:34:57"]),
    dhcp=st.booleans(),
    addresses=st.lists(nets, max_size=2, unique=True).map(tuple),
    gateways=st.sampled_from([(), ("192.0.2.1",), ("2001:db8::1",)]),
    mtu=st.sampled_from([0, 1000, 1400, 9000]),
    parent=st.one_of(st.just(""), names),
    vlan=st.sampled_from([0, 7]),
    bond=st.lists(names, max_size=3).map(tuple),
)
links = st.lists(link, max_size=5, unique_by=lambda each: each.name).map(tuple)


@settings(max_examples=60, deadline=None)
@given(links)
def test_whatever_links_are_said_what_is_left_can_be_carried_out(said: tuple[Link, ...]) -> None:
    if [*mistakes(said)]:
        return
    done: set[str] = set()
    for each in Wiring(said).in_order():
        assert {*each.bond, each.parent} - {""} <= done, "each after those that it stands on"
        done.add(each.name)
    bonded = [member for each in said for member in each.bond]
    assert len(bonded) == len({*bonded}) and not {*bonded} & {each.parent for each in said}
    for each in said:
        nets = [ipaddress.ip_interface(address).network for address in each.addresses]
        assert all(any(ipaddress.ip_address(way) in net for net in nets) for way in each.gateways)
    word = Wiring(said).word
    assert not {*word} & {*" ,;\"'$|#\\\n"}, "it is a word for GRUB and iPXE, too"
