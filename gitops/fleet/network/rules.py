"""`network:` as files say it: one address as ever, or links; and proxy, certificates, clocks.

network: {interface: eth0, address: 192.0.2.10/24, gateway: 192.0.2.1}      # or {dhcp: true}
network:
  links:
    lan: {mac: "52:54:00:12:34:56", dhcp: true}
    mgmt: {parent: lan, vlan: 7, addresses: [192.0.2.10/24]}
"""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gitops.fleet.documents.strict import Strict
from gitops.fleet.network.radio import Dot1xRules, ModemRules, WifiRules
from gitops.model.network.wiring import Link, Proxy, Route

LINK = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$"
"""What Linux takes as the name of an interface: 15 characters."""
BUS, DRIVER = r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$", r"^[a-z0-9][a-z0-9_-]{0,31}$"
IN_KEYS = r"^keys/[A-Za-z0-9._/-]{1,200}$"
HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
Mode = Literal["active-backup", "802.3ad", "balance-xor", "balance-rr", "broadcast", "balance-tlb", "balance-alb"]
USUAL: Mode = "active-backup"


def address_of(text: str) -> str:
    if "/" not in text:
        raise ValueError("an address with its prefix length, such as 192.0.2.10/24, is expected")
    return str(ipaddress.ip_interface(text))


def ip_of(text: str) -> str:
    return str(ipaddress.ip_address(_plain(text)))


def _plain(text: str) -> str:
    if "%" in text:
        raise ValueError("an address without `%` is expected: the link is known")
    return text


def _host_address(text: str) -> str:
    """An address that one machine can have, and its neighbours can reach."""
    interface = ipaddress.ip_interface(address_of(_plain(text)))
    ip, net = interface.ip, interface.network
    if ip.is_multicast or ip.is_loopback or ip.is_unspecified:
        raise ValueError(f"{ip} is no address of a link")
    if net.num_addresses > 2 and (ip == net.network_address or (ip.version == 4 and ip == net.broadcast_address)):
        raise ValueError(f"{ip} means the network {net} itself, or all of it: a machine's address is expected")
    return str(interface)


def _net(text: str) -> str:
    return str(ipaddress.ip_network(_plain(text)))  # raises for bits beyond the prefix


def _mac(text: str) -> str:
    low = text.lower().replace("-", ":")
    if not re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", low):
        raise ValueError('six bytes such as "52:54:00:12:34:56" are expected')
    if int(low[:2], 16) & 1 or low == "00:00:00:00:00:00":
        raise ValueError("no address of one network card: it is a group's, or empty")
    return low


def _is_host(text: str) -> bool:
    try:
        return bool(re.fullmatch(HOST, text) or ip_of(text))
    except ValueError:
        return False


def _host(text: str) -> str:
    if not _is_host(text):
        raise ValueError("a host's name or address is expected, such as clock.example")
    return text


def _exempt(text: str) -> str:
    if "/" in text:
        return _net(text)
    if not _is_host(text.removeprefix(".")):
        raise ValueError("a host, a domain or a network is expected, such as .lab.example (all hosts in it)")
    return text


def _proxy_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("no password belongs into Git: let the proxy know the box by its address")
    if parts.scheme != "http" or not parts.hostname or not parts.port or parts.path.strip("/") or parts.query:
        raise ValueError("an address such as http://proxy.example:3128 is expected")
    host = _host(parts.hostname)
    if ":" in host:
        raise ValueError("a proxy by its name or its IPv4 address is expected")
    return f"http://{host}:{parts.port}"  # of its parts: what urlsplit passes over makes a file that no box can read


Address = Annotated[str, StringConstraints(max_length=64), AfterValidator(_host_address)]
Ip = Annotated[str, StringConstraints(max_length=64), AfterValidator(ip_of)]
NetText = Annotated[str, StringConstraints(max_length=64), AfterValidator(_net)]
LinkName = Annotated[str, StringConstraints(pattern=LINK)]
Mac = Annotated[str, AfterValidator(_mac)]
Bus = Annotated[str, StringConstraints(pattern=BUS)]
Driver = Annotated[str, StringConstraints(pattern=DRIVER)]
Host = Annotated[str, StringConstraints(max_length=253), AfterValidator(_host)]
Exempt = Annotated[str, StringConstraints(max_length=253), AfterValidator(_exempt)]
ProxyUrl = Annotated[str, StringConstraints(max_length=300), AfterValidator(_proxy_url)]


class RouteRule(Strict):
    """A network that is reached through a neighbour."""

    to: NetText
    via: Ip


class LinkRules(Strict):
    """A network card, a VLAN, a bond or a modem. A card is found by `mac`, `bus` or `driver`, else by its name."""

    mac: Mac | None = None
    bus: Bus | None = Field(
        default=None, description="Its place, such as 0000:00:03.0 (the end of /sys/class/net/*/device)."
    )
    driver: Driver | None = Field(default=None, description="The first card of this driver.")
    parent: LinkName | None = Field(default=None, description="Of a VLAN: the link that carries it.")
    vlan: int | None = Field(default=None, ge=1, le=4094)
    bond: tuple[LinkName, ...] = Field(default=(), max_length=16, description="Its members.")
    mode: Mode | None = None
    wifi: WifiRules | None = None
    dot1x: Dot1xRules | None = None
    modem: ModemRules | None = None
    dhcp: bool = Field(default=False, description="Of IPv4, and of IPv6 where a router says so.")
    slaac: bool = Field(default=False, description="IPv6 alone, as routers announce it.")
    addresses: tuple[Address, ...] = Field(default=(), max_length=16)
    gateways: tuple[Ip, ...] = Field(default=(), max_length=2, description="One for IPv4, one for IPv6.")
    routes: tuple[RouteRule, ...] = Field(default=(), max_length=64)
    probes: tuple[Ip, ...] = Field(
        default=(), max_length=4, description="Whom it reaches: without an answer of one, other ways out come first."
    )
    metric: int | None = Field(default=None, ge=1, le=9999, description="Of the ways out the lowest is used.")
    mtu: int | None = Field(default=None, ge=576, le=9216, description="Octets in a packet; 1500 when it is not said.")

    @model_validator(mode="after")
    def _one_way_in(self) -> "LinkRules":
        if self.wifi and self.dot1x:
            raise ValueError("a link has `wifi` or `dot1x`: the first says `security: peap` or `tls` itself")
        return self

    def noun(self, name: str) -> Link:
        apart = ("routes", "wifi", "dot1x", "modem")
        given = {key: value for key, value in self if value is not None and key not in apart}
        mode = {"mode": self.mode or USUAL} if self.bond else {}
        enters = self.wifi or self.dot1x
        return Link(
            name,
            **(given | mode),
            routes=tuple(Route(each.to, each.via) for each in self.routes),
            access=enters.noun() if enters else None,
            modem=self.modem.noun() if self.modem else None,
        )


class ProxyRules(Strict):
    """A proxy for HTTP: of the agent, of repairs, of Docker's pulls."""

    http: ProxyUrl | None = None
    https: ProxyUrl | None = None
    exempt: tuple[Exempt, ...] = Field(default=(), max_length=32, description="Hosts, .domains, networks.")

    def noun(self) -> Proxy:
        return Proxy(self.http or "", self.https or "", self.exempt)


class NetworkRules(Strict):
    """DHCP, one static address, or links; and what every link serves: name servers, proxy, certificates, clocks."""

    dhcp: bool | None = None
    interface: LinkName = "eth0"
    address: Annotated[str, AfterValidator(address_of)] | None = None
    gateway: Annotated[str, AfterValidator(ip_of)] | None = None
    dns: tuple[Annotated[str, AfterValidator(ip_of)], ...] = Field(default=(), max_length=3)
    links: dict[LinkName, LinkRules | None] = Field(
        default_factory=dict, max_length=32, description="By name; null takes one of the role away."
    )
    proxy: ProxyRules | None = None
    ntp: tuple[Host, ...] = Field(default=(), max_length=8, description="Instead of the package's own servers.")
    ca: tuple[Annotated[str, StringConstraints(pattern=IN_KEYS)], ...] = Field(
        default=(), max_length=16, description="Certificates in keys/ of authorities that the box believes, too."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "NetworkRules":
        if self.links:
            if one := sorted(self.model_fields_set & {"dhcp", "interface", "address", "gateway"}):
                raise ValueError(f"`{one[0]}` is said of each link in `links`, or there are no `links`")
            return self
        shared = self.model_fields_set & {"dns", "proxy", "ntp", "ca"}
        if self.dhcp is (self.address is not None) and not (shared and self.dhcp is None):
            raise ValueError("either `dhcp: true` or an `address` or `links` is expected")
        if self.address is None and self.gateway:
            raise ValueError("`gateway` goes with an `address`")
        if self.address and self.gateway:
            network = ipaddress.ip_interface(self.address).network
            if ipaddress.ip_address(self.gateway) not in network:
                raise ValueError(f"the gateway {self.gateway} is outside of {network}")
        return self
