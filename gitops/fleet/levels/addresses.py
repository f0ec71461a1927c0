"""Static addresses that two boxes of one site would have, and such as no machine can have.

In: a tree and its boxes. Out: mistakes, for whoever is about to commit: a fleet that is deployed like that goes on.
Rules: sites are networks of their own, so one private address may be at two of them; boxes of which one says no `site`
are told apart by nothing, and count as being at the same one. The length of the prefix and the interface's name are
each machine's own affair, and tell nothing of where its wire ends.

    list(addresses(tree, boxes))         # [Problem("boxes/two.yaml", 4, 20, "192.0.2.10 is one's already ..")]
"""

import ipaddress
from collections.abc import Iterator, Mapping

from gitops.errors import Problem
from gitops.fleet.documents.yaml import Document, read
from gitops.model import Box, Tree

ANYWHERE = ""
"""The site of a box that names none."""


def addresses(tree: Tree, boxes: Mapping[str, Box]) -> Iterator[Problem]:
    """In the order of the boxes' names."""
    there: dict[str, dict[str, str]] = {}
    for name in sorted(boxes):
        network, site = boxes[name].network, boxes[name].site
        if network.dhcp:
            continue
        why = "" if boxes[name].wiring else unfit(network.address, network.gateway)  # links have rules of their own
        if why:
            yield _problem(tree, name, why, "name an address of one machine")
            continue
        address = str(ipaddress.ip_interface(network.address).ip)
        others = there.setdefault(address, {})
        same = (site, ANYWHERE) if site else tuple(others)
        if other := next((others[each] for each in same if each in others), ""):
            message = f"{address} is {other}'s already (boxes/{other}.yaml)"
            hint = "give it another one; or, where they are in different networks, name each box's `site`"
            yield _problem(tree, name, message, hint)
        others.setdefault(site, name)


def _problem(tree: Tree, name: str, message: str, hint: str) -> Problem:
    path = f"boxes/{name}.yaml"
    document = read(tree.read(path), path, []) if path in tree.entries() else None
    return (document or Document(path)).problem(("network", "address"), message, hint)


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
