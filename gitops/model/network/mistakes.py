"""What is wrong with how a box is wired: each link by itself, and all of them together. Pure.

In: the links, each already of the right types. Out: mistakes, each with the link and key at which it stands. Rules: a
mistake is what cannot work, or would reach nobody; never what is only unusual.

    [*mistakes((Link("mgmt", parent="lan", vlan=7, dhcp=True),))]
    # [Mistake("mgmt", "parent", "there is no link `lan`")]
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from gitops.model.network.mistake import Mistake
from gitops.model.network.radio import MODEM_METRIC
from gitops.model.network.radio_mistakes import radio_mistakes
from gitops.model.network.wiring import STATIC_METRIC, Link

ETHERNET = 1500
"""Octets that a link carries of which nothing is said."""
LEAST_IPV6 = 1280
"""RFC 8200, 5."""
LOOPBACK = "lo"
KERNELS = re.compile(r"(eth|wlan|wwan|ppp|usb|docker|dummy|bond)[0-9]+|(veth|br-|en[opsx]|wl[opsx]|ww[opsx]).*")
"""Names that the kernel or Docker gives: a link that is made would be in the way."""
Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def mistakes(links: Iterable[Link]) -> Iterator[Mistake]:
    named = {link.name: link for link in links}
    for link in named.values():
        yield from _kind(link)
        yield from _stands_on(link, named)
        yield from _members(link, named)
        yield from _reaches(link)
        yield from _sizes(link, named)
        if not (link.addressed or _used(link, named)):
            hint = "say `dhcp: true`, `slaac: true` or `addresses: [...]`"
            yield Mistake(link.name, "", f"the link `{link.name}` has no address, and nothing stands on it", hint)
    yield from radio_mistakes(named)
    yield from _circles(named)
    yield from _twice(named.values())
    yield from _clashes(named.values())
    yield from _ways_out(named.values())


def _kind(link: Link) -> Iterator[Mistake]:
    """Hardware, VLAN or bond: one of the three."""
    if bool(link.parent) != bool(link.vlan):
        here, lacking = ("parent", "vlan") if link.parent else ("vlan", "parent")
        yield Mistake(link.name, here, f"`{here}` goes with `{lacking}`", "a VLAN is `{parent: LINK, vlan: NUMBER}`")
    if link.bond and (link.parent or link.vlan):
        yield Mistake(link.name, "bond", "a link is a bond or a VLAN", "make the bond a link, and name it as `parent`")
    if link.mode and not link.bond:
        yield Mistake(link.name, "mode", "`mode` goes with `bond`", "leave it out")
    found = [key for key in ("mac", "bus", "driver") if getattr(link, key)]
    if found and link.made:
        yield Mistake(link.name, found[0], "a VLAN or bond is made: no hardware is it", f"leave out `{found[0]}`")
    elif len(found) > 1:
        yield Mistake(link.name, found[1], f"`{found[0]}` says which one it is already", f"leave out `{found[1]}`")
    if link.name == LOOPBACK or ((link.made or link.modem) and KERNELS.fullmatch(link.name)):
        hint = "name it by what it is for, such as `mgmt`"
        yield Mistake(link.name, "", f"the kernel gives the name `{link.name}` itself", hint)


def _stands_on(link: Link, named: Mapping[str, Link]) -> Iterator[Mistake]:
    if link.parent and link.parent not in named:
        yield _lacks(link, "parent", link.parent)
    for other in named.values():
        if link.parent in other.bond and other.name != link.name:
            message = f"`{link.parent}` is part of the bond `{other.name}`"
            yield Mistake(link.name, "parent", message, f"say `parent: {other.name}`")


def _lacks(link: Link, key: str, other: str) -> Mistake:
    return Mistake(link.name, key, f"there is no link `{other}`", f"add `{other}` to `links`", lacking=other)


def _members(link: Link, named: Mapping[str, Link]) -> Iterator[Mistake]:
    if link.bond and len({*link.bond}) < 2:
        yield Mistake(link.name, "bond", "a bond of one", "name two links and more, or use that one itself")
    elif len({*link.bond}) < len(link.bond):
        yield Mistake(link.name, "bond", "a link is named twice", "name each once")
    for member in dict.fromkeys(link.bond):
        if member not in named:
            yield _lacks(link, "bond", member)
            continue
        other = named[member]
        if other.made:
            yield Mistake(link.name, "bond", f"`{member}` is no network card", "only those can be bonded")
        elif other.addressed or other.gateways or other.routes:
            yield Mistake(member, "", f"`{member}` is part of the bond `{link.name}`", "addresses belong to the bond")
        elif other.mtu:
            yield Mistake(member, "mtu", f"`{member}` is part of the bond `{link.name}`", "say `mtu` of the bond")
        holders = [each.name for each in named.values() if member in each.bond]
        if holders and holders[0] != link.name:
            yield Mistake(link.name, "bond", f"`{member}` is part of the bond `{holders[0]}` already", "name another")


def _reaches(link: Link) -> Iterator[Mistake]:
    """Gateways and neighbours are in a network of the link."""
    nets = [ipaddress.ip_interface(address).network for address in link.addresses]
    for key, addresses in (("gateways", link.gateways), ("routes", tuple(route.via for route in link.routes))):
        for text in addresses:
            address = ipaddress.ip_address(text)
            local = (
                address.version == 6
                and address.is_link_local
                and (link.slaac or link.dhcp or any(net.version == 6 for net in nets))
            )
            if text in (each.partition("/")[0] for each in link.addresses):
                yield Mistake(link.name, key, f"{text} is this box's own address", "name the router's")
            elif not local and not any(address in net for net in nets):
                where = f"outside of {' and '.join(map(str, nets))}" if nets else "in no network of this link"
                yield Mistake(link.name, key, f"{text} is {where}", "name a neighbour's address")
    for route in link.routes:
        if ipaddress.ip_network(route.to).version != ipaddress.ip_address(route.via).version:
            yield Mistake(link.name, "routes", f"{route.to} by {route.via}: IPv4 and IPv6", "both must be of one kind")


def _sizes(link: Link, named: Mapping[str, Link]) -> Iterator[Mistake]:
    own = link.mtu or ETHERNET
    parent = named.get(link.parent)
    if parent and link.mtu > (parent.mtu or ETHERNET):
        message = f"{link.mtu} is more than the {parent.mtu or ETHERNET} of `{parent.name}`, which carries it"
        yield Mistake(link.name, "mtu", message, f"say `mtu: {link.mtu}` of `{parent.name}`, or less here")
    elif parent and not link.mtu and parent.mtu and parent.mtu < ETHERNET:
        own = parent.mtu
    if own < LEAST_IPV6 and (link.slaac or any(":" in address for address in link.addresses)):
        yield Mistake(link.name, "mtu" if link.mtu else "", f"IPv6 needs {LEAST_IPV6} octets", "say a larger `mtu`")


def _used(link: Link, named: Mapping[str, Link]) -> bool:
    return any(link.name == each.parent or link.name in each.bond for each in named.values())


def _circles(named: Mapping[str, Link]) -> Iterator[Mistake]:
    for name in named:
        below, steps = named[name].parent, 0
        while below in named and below != name and steps <= len(named):
            below, steps = named[below].parent, steps + 1
        if below == name:
            yield Mistake(name, "parent", f"`{name}` stands on itself", "a VLAN stands on a network card or a bond")


def _twice(links: Iterable[Link]) -> Iterator[Mistake]:
    """What only one link can have."""
    seen: dict[tuple[str, str], str] = {}
    for link in links:
        marks = [(key, getattr(link, key)) for key in ("mac", "bus", "driver")]
        marks += [("vlan", f"{link.vlan} of {link.parent}")] if link.vlan and link.parent else []
        for key, value in marks:
            if value and (other := seen.setdefault((key, value), link.name)) != link.name:
                yield Mistake(link.name, key, f"{value} is `{other}` already", "each link has its own")


def _clashes(links: Iterable[Link]) -> Iterator[Mistake]:
    """One address on two links, or one network: answers would leave by one of the two."""
    nets: list[tuple[Net, str]] = []
    for link in links:
        own = {ipaddress.ip_interface(address).network for address in link.addresses}
        for net in sorted(own, key=str):
            clash = [name for other, name in nets if other.version == net.version and net.overlaps(other)]
            if clash:
                message = f"{net} is (in part) the network of `{clash[0]}`, too"
                yield Mistake(link.name, "addresses", message, "answers would leave by one of the two: use another net")
        nets += [(net, link.name) for net in own]


def _ways_out(links: Iterable[Link]) -> Iterator[Mistake]:
    """One way for each kind of address and metric: of two the kernel would take the later one."""
    ways: dict[tuple[int, int], str] = {}
    for link in links:
        for gateway in link.gateways:
            way = (ipaddress.ip_address(gateway).version, link.metric or STATIC_METRIC)
            if way in ways:
                message = f"a second gateway for IPv{way[0]}, beside that of `{ways[way]}`"
                yield Mistake(
                    link.name, "gateways", message, "give one of the links another `metric`: the lower is used first"
                )
            ways.setdefault(way, link.name)
    for link in (each for each in links if each.modem):
        for version in (4, 6) if link.modem and link.modem.ipv6 else (4,):
            dialled: tuple[int, int] = (version, link.metric or MODEM_METRIC)
            if dialled in ways:
                message = f"a second way out for IPv{version}, beside that of `{ways[dialled]}`"
                hint = "give one of the links another `metric`: the lower is used first"
                yield Mistake(link.name, "modem", message, hint)
            ways.setdefault(dialled, link.name)
