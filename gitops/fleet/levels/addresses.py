"""Static addresses that two boxes of one site would have, and such as no machine can have.

In: a tree and its boxes. Out: mistakes, for whoever is about to commit: a fleet that is deployed like that goes on.
Rules: each static address of each link counts. Sites are networks of their own, so one private address may be at two of
them; boxes of which one says no `site` are told apart by nothing, and count as being at the same one. VLANs are
networks of their own, too, by their numbers; whether one without a tag is one of them, nobody can know. The length of
the prefix and the interface's name are each machine's own affair, and tell nothing of where its wire ends. What a role
or the fleet gives to every box is a wire of the box's own, where it has neither VLAN nor gateway nor route.

    list(addresses(tree, boxes))         # [Problem("boxes/two.yaml", 4, 20, "192.0.2.10 is one's already ..")]
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitops.errors import Problem
from gitops.fleet.documents.yaml import Document, read
from gitops.model import Box, Tree
from gitops.model.network.wiring import Link

ANYWHERE = ""
"""The site of a box that names none."""


@dataclass(frozen=True)
class _Held:
    """An address that a box has. `tags`: the VLANs in which it is, outermost last; `path`: where its file says so."""

    address: str
    tags: tuple[int, ...] = ()
    path: tuple[str, ...] = ("network", "address")


def addresses(tree: Tree, boxes: Mapping[str, Box]) -> Iterator[Problem]:
    """In the order of the boxes' names."""
    there: dict[tuple[str, tuple[int, ...]], dict[str, str]] = {}
    for name in sorted(boxes):
        box = boxes[name]
        plain = None if box.wiring or box.network.dhcp else box.network  # links have rules of their own
        if plain and (why := unfit(plain.address, plain.gateway)):
            yield _problem(tree, name, _Held(""), why, "name an address of one machine")
            continue
        for held in _held(tree, box):
            others = there.setdefault((held.address, held.tags), {})
            same = (box.site, ANYWHERE) if box.site else tuple(others)
            other = next((others[each] for each in same if each in others), name)
            if other != name:
                vlan = f" in VLAN {held.tags[0]}" if held.tags else ""
                message = f"{held.address} is {other}'s already{vlan} (boxes/{other}.yaml)"
                hint = "give it another one; or, where they are in different networks, name each box's `site`"
                yield _problem(tree, name, held, message, hint)
            others.setdefault(box.site, name)


def _held(tree: Tree, box: Box) -> Iterator[_Held]:
    """What other machines could have, too."""
    if box.wiring is None:
        yield from [] if box.network.dhcp else [_Held(str(ipaddress.ip_interface(box.network.address).ip))]
        return
    links = {link.name: link for link in box.wiring.links}
    for link in links.values():
        found = [ipaddress.ip_interface(address).ip for address in link.addresses]
        shared = [str(address) for address in found if not address.is_link_local]
        if shared and not _own_wire(tree, box, link):
            path = ("network", "links", link.name, "addresses")
            yield from (_Held(address, _tags(link, links), path) for address in shared)


def _tags(link: Link, links: Mapping[str, Link]) -> tuple[int, ...]:
    tags = list[int]()
    while link.vlan and len(tags) < len(links):
        tags.append(link.vlan)
        link = links.get(link.parent, Link(link.parent))
    return tuple(tags)


def _own_wire(tree: Tree, box: Box, link: Link) -> bool:
    """Whether every box of a level has this address, on a link that leads nowhere else."""
    if link.vlan or link.gateways or link.routes or len(box.wiring.links if box.wiring else ()) == 1:
        return False
    network = _file(tree, box.name).value
    for key in ("network", "links"):
        network = network.get(key) if isinstance(network, dict) else None
    return not (isinstance(network, dict) and network.get(link.name))


def _file(tree: Tree, name: str) -> Document:
    path = f"boxes/{name}.yaml"
    document = read(tree.read(path), path, []) if path in tree.entries() else None
    return document or Document(path)


def _problem(tree: Tree, name: str, held: _Held, message: str, hint: str) -> Problem:
    return _file(tree, name).problem(held.path, message, hint)


def unfit(text: str, gateway: str) -> str:
    """Why a machine cannot have this address; empty: it can."""
    interface = ipaddress.ip_interface(text)
    address, network = interface.ip, interface.network
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        return f"{address} is no address of one machine in a network"
    if "%" in text:
        return f"{text}: which interface it is, `interface` says"
    roomy = network.prefixlen < network.max_prefixlen - 1  # in /31 and /32 each address is a machine's (RFC 3021)
    if address.version == 4 and roomy and address in (network.network_address, network.broadcast_address):
        return f"{address} is all of {network}, and no machine in it"
    if gateway and address == ipaddress.ip_address(gateway):
        return f"{address} is its own gateway"
    return ""
