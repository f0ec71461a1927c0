"""How a box is wired, as fleet > role > box say it together, and what of that goes to the box. Pure.

In: what `network:` says, read. Out: `Wiring`, its text for `/etc/toweros/network` (docs/formats.md, "The network of a
box") and its word for the initrd. Rules: a link that is hardware is found by its MAC, bus path or driver, or by its own
name, which is then the kernel's; a VLAN or bond is made, and has the link's name. Lines come in an order in which they
can be carried out: hardware, bonds, VLANs each after its parent, then addresses, then routes.

    Wiring(links=(Link("lan", mac="52:54:00:12:34:56", addresses=("192.0.2.10/24",)),)).text()
    # network 1
    # link lan mac 52:54:00:12:34:56
    # address lan 192.0.2.10/24
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gitops.model.network.radio import MODEM_METRIC, Access, Modem

FORMAT = 1
STATIC_METRIC = 100
"""Of a gateway that says none: what DHCP brings comes after it (dhcpcd.conf(5), `metric`: from 200 on)."""
DHCP = "dhcp"


@dataclass(frozen=True)
class Route:
    """`to` is a network, `via` a neighbour."""

    to: str
    via: str


@dataclass(frozen=True)
class Link:
    """One network card, VLAN (`parent`, `vlan`), bond (its members) or modem. `mtu` and `metric`: 0 is not said."""

    name: str
    mac: str = ""
    bus: str = ""
    driver: str = ""
    dhcp: bool = False
    slaac: bool = False
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    metric: int = 0
    mtu: int = 0
    parent: str = ""
    vlan: int = 0
    bond: tuple[str, ...] = ()
    mode: str = ""
    access: Access | None = None
    modem: Modem | None = None
    probes: tuple[str, ...] = ()

    @property
    def made(self) -> bool:
        """Whether the box makes it, and no hardware is it."""
        return bool(self.parent or self.vlan or self.bond)

    @property
    def found_by(self) -> tuple[str, str]:
        """How the hardware is found: a word, and its value."""
        known = {"mac": self.mac, "bus": self.bus, "driver": self.driver}
        return next(((word, value) for word, value in known.items() if value), ("name", self.name))

    @property
    def addressed(self) -> bool:
        return bool(self.dhcp or self.slaac or self.addresses or self.modem)

    @property
    def by_air(self) -> bool:
        return bool(self.modem or (self.access and self.access.ssid))


@dataclass(frozen=True)
class Proxy:
    """`http` and `https` are URLs of a proxy for each kind of address; `exempt` are hosts, `.domains` and networks."""

    http: str = ""
    https: str = ""
    exempt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wiring:
    """All of it. Without `links` every network card asks by DHCP. `ca` is PEM text, `ntp` are hosts."""

    links: tuple[Link, ...] = ()
    dns: tuple[str, ...] = ()
    proxy: Proxy = Proxy()
    ntp: tuple[str, ...] = ()
    ca: str = ""

    def text(self) -> str:
        """What the box reads: one fact a line, words with one blank between them."""
        return "".join(f"{line}\n" for line in (f"network {FORMAT}", *self._lines()))

    def _lines(self) -> Iterator[str]:
        ordered = self.in_order()
        for link in ordered:
            yield from _makes(link)
        for link in ordered:
            yield from (f"{word} {link.name}" for word in ("dhcp", "slaac") if getattr(link, word))
            yield from (f"address {link.name} {address}" for address in link.addresses)
            metric = link.metric or (MODEM_METRIC if link.modem else 0)
            if metric and (link.dhcp or link.slaac or link.modem):
                yield f"metric {link.name} {metric}"
        for link in ordered:
            metric = link.metric or STATIC_METRIC
            yield from (f"gateway {link.name} {gateway} {metric}" for gateway in link.gateways)
            yield from (f"probe {link.name} {host}" for host in link.probes)
            yield from (f"route {link.name} {route.to} {route.via}" for route in link.routes)
        yield from (f"dns {server}" for server in self.dns)
        yield from (f"proxy {kind} {url}" for kind in ("http", "https") if (url := getattr(self.proxy, kind)))
        yield from (f"exempt {host}" for host in self.proxy.exempt)
        yield from (f"ntp {server}" for server in self.ntp)

    def in_order(self) -> list[Link]:
        """Each link after those that it stands on. What stands on nothing that is there comes last."""
        done: dict[str, Link] = {}
        left = {link.name: link for link in self.links}
        while ready := [link for link in left.values() if {*link.bond, link.parent} - {""} <= {*done}]:
            done |= {link.name: link for link in ready}
            left = {name: link for name, link in left.items() if name not in done}
        return [*done.values(), *left.values()]

    @property
    def way_out(self) -> Link | None:
        """The link by which the world is reached first."""
        return self._first(self.links)

    @staticmethod
    def _first(links: Iterable[Link]) -> Link | None:
        ways = [link for link in links if link.dhcp or link.slaac or link.gateways]
        return min(ways, key=lambda link: link.metric or (STATIC_METRIC if link.gateways else 1000), default=None)

    @property
    def word(self) -> str:
        """`toweros.net` (docs/formats.md): as much as the initrd needs, which has no radio. An initrd that knows it not
        asks by DHCP."""
        cables = [link for link in self.links if not link.by_air]
        way, parts = self._first(cables) or next(iter(cables), None), [DHCP]
        if way and not (way.dhcp or way.slaac) and way.addresses:
            parts = ["static", f"address={way.addresses[0]}"]
            family = ":" in way.addresses[0]
            parts += [f"gateway={gateway}" for gateway in way.gateways if (":" in gateway) == family][:1]
        parts += self._on(way) if way else []
        if way and way.vlan:
            parts.append(f"vlan={way.vlan}")
        parts += [f"dns={server}" for server in self.dns]
        parts += [f"proxy={self.proxy.http}"] if self.proxy.http else []
        return "+".join(parts)

    def _on(self, way: Link) -> list[str]:
        """On what it stands, where that matters: a card, or a bond's members (an older initrd takes the first)."""
        below = self._below(way)
        if not (way.vlan or below.bond or (way.addresses and not way.dhcp and not way.slaac)):
            return []
        named = {each.name: each for each in self.links}
        cards = [named.get(name, Link(name)) for name in below.bond] or [below]
        words = [":".join(card.found_by) for card in cards]
        bond = [f"member={word}" for word in words[1:]] + [f"bond={below.mode}"] if below.bond else []
        return [f"on={words[0]}", *bond]

    def _below(self, link: Link) -> Link:
        """The network card or bond that carries a link."""
        named = {each.name: each for each in self.links}
        for _ in self.links:
            link = named.get(link.parent, link)
        return link


def _makes(link: Link) -> Iterator[str]:
    if link.modem:
        yield from link.modem.lines(link.name, link.bus)
        return
    if link.bond:
        yield f"bond {link.name} {link.mode} {' '.join(link.bond)}"
    elif link.made:
        yield f"vlan {link.name} {link.parent} {link.vlan}"
    else:
        yield f"link {link.name} {' '.join(link.found_by)}"
    if link.mtu:
        yield f"mtu {link.name} {link.mtu}"
    if link.access:
        yield from link.access.lines(link.name)
