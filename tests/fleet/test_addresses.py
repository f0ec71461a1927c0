"""Two boxes with one static address, on any of their links; and where one address at two boxes is right."""

import pytest

from gitops.fleet import load_fleet
from gitops.fleet.levels.addresses import addresses
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
        "roles/wired.yaml": "boot: [boot/a.yml]\nnetwork:\n  links:\n    lan: {dhcp: true}\n"
        "    radio: {mac: '52:54:00:00:00:01', addresses: [192.168.100.1/24]}\n",
    }
    | package("pkg/init")
    | package("pkg/kernel")
    | package("pkg/dhcpcd")
    | {"pkg/dhcpcd/build.yml": CARRIES}
)


def of(network: str, more: str = "", role: str = "vm") -> str:
    return f"role: {role}\n{more}network:\n  {network}\n"


def vlan(number: int, address: str, lan: str = "{dhcp: true}") -> str:
    return of(f"links:\n    lan: {lan}\n    mgmt: {{parent: lan, vlan: {number}, addresses: [{address}]}}")


def links(*each: str) -> str:
    return of("links:\n    " + "\n    ".join(each))


WAY = "lan: {dhcp: true}"
SAME = {
    "on a VLAN, beside DHCP": (vlan(7, "10.7.0.5/24"), vlan(7, "10.7.0.5/25"), 5),
    "on a second card": (links(WAY, "b: {addresses: [10.8.0.5/24]}"), links("b: {addresses: [10.8.0.5/24]}", WAY), 4),
    "the second one of a link": (
        links("lan: {addresses: [10.9.0.1/24, '2001:db8::5/64'], gateways: [10.9.0.254]}"),
        links(WAY, "b: {addresses: ['2001:DB8:0::5/64']}"),
        5,
    ),
    "one address, and one of a link": (of("address: 10.9.0.1/24"), links(WAY, "b: {addresses: [10.9.0.1/24]}"), 5),
    "on a bond": (
        links("a: {}", "c: {}", "up: {bond: [a, c], addresses: [10.9.0.1/24]}"),
        links("lan: {addresses: [10.9.0.1/24], gateways: [10.9.0.2]}"),
        4,
    ),
    "a VLAN in a VLAN": (
        links(WAY, "s: {parent: lan, vlan: 9}", "c: {parent: s, vlan: 7, addresses: [10.7.0.5/24]}"),
        links(WAY, "s: {parent: lan, vlan: 9}", "d: {parent: s, vlan: 7, addresses: [10.7.0.5/24]}"),
        6,
    ),
    "a link of one that has a site": (
        vlan(7, "10.7.0.5/24").replace("role: vm", "role: vm\nsite: a"),
        vlan(7, "10.7.0.5/24"),
        5,
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_an_address_that_another_box_has_is_a_mistake_on_whatever_link(kind: str) -> None:
    one, two, line = SAME[kind]
    tree = DictTree(BASE | {"boxes/one.yaml": one, "boxes/two.yaml": two})
    (problem,) = addresses(tree, load_fleet(tree).boxes)
    assert (problem.file, problem.line) == ("boxes/two.yaml", line) and "is one's already" in problem.message


APART = {
    "other VLANs": (vlan(7, "10.7.0.5/24"), vlan(8, "10.7.0.5/24")),
    "a VLAN and no VLAN": (vlan(7, "10.7.0.5/24"), of("address: 10.7.0.5/24")),
    "a VLAN, and one of that number in another": (
        vlan(7, "10.7.0.5/24"),
        links(WAY, "s: {parent: lan, vlan: 9}", "d: {parent: s, vlan: 7, addresses: [10.7.0.5/24]}"),
    ),
    "other sites": (
        vlan(7, "10.7.0.5/24").replace("role: vm", "role: vm\nsite: a"),
        vlan(7, "10.7.0.5/24").replace("role: vm", "role: vm\nsite: b"),
    ),
    "link-local": (
        links(WAY, "b: {addresses: ['fe80::1/64', 169.254.7.1/16]}"),
        links(WAY, "b: {addresses: ['fe80::1/64', 169.254.7.1/16]}"),
    ),
    "a wire of each box, which the role has": ("role: wired\n", "role: wired\n"),
    "one box in two VLANs": (vlan(7, "10.7.0.5/24"), vlan(8, "10.7.0.6/24")),
}


@pytest.mark.parametrize("kind", APART)
def test_one_address_in_two_networks_is_right(kind: str) -> None:
    one, two = APART[kind]
    tree = DictTree(BASE | {"boxes/one.yaml": one, "boxes/two.yaml": two})
    assert [*addresses(tree, load_fleet(tree).boxes)] == []


def test_what_a_role_gives_to_every_box_is_no_wire_of_its_own_where_it_leads_on() -> None:
    way = "boot: [boot/a.yml]\nnetwork:\n  links:\n    lan: {dhcp: true}\n    b: {addresses: [10.0.0.5/24], "
    for more in ("gateways: [10.0.0.1]}\n", "routes: [{to: 10.1.0.0/16, via: 10.0.0.1}]}\n"):
        boxes = {f"boxes/{name}.yaml": "role: vm\n" for name in ("one", "two")}
        tree = DictTree(BASE | {"roles/vm.yaml": way + more} | boxes)
        assert ["10.0.0.5 is one's already" in each.message for each in addresses(tree, load_fleet(tree).boxes)] == [
            True
        ]
