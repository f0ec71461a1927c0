"""Fleet > role > box for `network:`, and the mistakes of the whole.

In: what each level says. Out: a `Said`, and of that the box's `Network` and `Wiring`. Rules: links by name, the nearest
counts as a whole, null takes one away; one address or DHCP of a nearer level stands in place of all links; of name
servers, proxy, clocks and certificates the nearest list counts. What is merged must hold at every level that says
something, and its mistakes stand there.

    network, wiring = nouns(over(Said(), level, tree, problems))
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gitops.errors import Problem
from gitops.fleet.cache import text_of
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.network.rules import NetworkRules
from gitops.model import Box, Network, Tree
from gitops.model.fleet import Package
from gitops.model.network.mistake import Mistake
from gitops.model.network.mistakes import mistakes
from gitops.model.network.wiring import Link, Proxy, Wiring

if TYPE_CHECKING:
    from gitops.fleet.overlay import Parsed
    from gitops.fleet.schema import BoxFile, Overlay

READS, RIGHT = "/etc/toweros:", "CAP_NET_ADMIN"
"""What a service that carries the wiring out binds, the file being below it, and may do."""
LARGEST_CA = 64 << 10
"""Bytes of one file."""


@dataclass(frozen=True)
class Said:
    """What the levels so far say. `plain`: one address, or DHCP."""

    plain: Network = field(default_factory=Network)
    links: Mapping[str, Link] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    proxy: Proxy | None = None
    ntp: tuple[str, ...] = ()
    ca: str = ""


def over(base: Said, level: "Parsed[Overlay]", tree: Tree, problems: list[Problem]) -> Said:
    """Lay one level over the ones before it."""
    rules = level.content.network
    if not rules.model_fields_set:
        return base
    said = _links(base, rules)
    said = replace(
        said,
        dns=rules.dns or base.dns if rules.address is None else (),
        proxy=rules.proxy.noun() if rules.proxy else base.proxy,
        ntp=rules.ntp or base.ntp,
        ca=_certificates(level, tree, problems) if rules.ca else base.ca,
    )
    hidden = any(path[:1] == ("network",) for path in level.dropped)
    if not hidden:
        problems += _idle(base, level)
        problems += [_problem(level, mistake, said) for mistake in mistakes(said.links.values())]
        problems += [_problem(level, mistake, said) for mistake in _unproven(said)]
    return said


def _links(base: Said, rules: NetworkRules) -> Said:
    if rules.address is not None or rules.dhcp:
        plain = Network(rules.interface, rules.address or "", rules.gateway or "", rules.dns)
        return replace(base, plain=plain, links={})
    own = {name: link.noun(name) if link else None for name, link in rules.links.items()}
    links = {name: link for name, link in {**base.links, **own}.items() if link}
    return replace(base, links=links)


def _idle(base: Said, level: "Parsed[Overlay]") -> Iterator[Problem]:
    """Links that are taken away, and that no level before has."""
    for name, link in level.content.network.links.items():
        if link is None and name not in base.links:
            hint = did_you_mean(name, base.links.keys(), "leave it out")
            yield level.problem(("network", "links", name), f"there is no link `{name}` to take away", hint, key=True)


def _unproven(said: Said) -> Iterator[Mistake]:
    """802.1X without an authority: the box would give its password to whoever calls himself the network."""
    for link in said.links.values():
        if link.access and link.access.enterprise and not said.ca:
            key = "wifi" if link.access.ssid else "dot1x"
            hint = "name the authority of the 802.1X server in the network's `ca`"
            yield Mistake(link.name, key, f"nobody vouches for the server `{link.access.server}`", hint)


def _problem(level: "Parsed[Overlay]", mistake: Mistake, said: Said) -> Problem:
    """At the key that is wrong; else at the link, where another level said that."""
    link, message, hint = mistake.link, mistake.message, mistake.hint
    if mistake.lacking:
        hint = did_you_mean(mistake.lacking, said.links.keys() - {link}, hint)
    own = level.content.network.links.get(link)
    path = ("network", "links", link) if own else ("network",)
    if own and mistake.key in own.model_fields_set:
        return level.problem((*path, mistake.key), message, hint)
    prefix = "" if own or f"`{link}`" in message else f"`{link}`: "
    return level.problem(path, prefix + message, hint, key=True)


def _certificates(level: "Parsed[Overlay]", tree: Tree, problems: list[Problem]) -> str:
    """The certificates' PEM text, each once, in the order of the files."""
    found: dict[bytes, str] = {}
    for index, path in enumerate(level.content.network.ca):
        place = ("network", "ca", index)
        if path not in tree.entries():
            known = [name for name in tree.entries() if name.startswith("keys/")]
            hint = did_you_mean(path, known, "add the authority's certificate in PEM")
            problems.append(level.problem(place, f"there is no file `{path}`", hint))
        elif tree.entries()[path].size > LARGEST_CA:
            hint = "name the authorities that this fleet needs"
            problems.append(level.problem(place, f"`{path}` has more than {LARGEST_CA >> 10} KiB", hint))
        elif wrong := _read(text_of(tree, path, errors="replace"), found):
            problems.append(level.problem(place, f"`{path}`: {wrong}", "export the authority's own certificate as PEM"))
    return "".join(found.values())


def _read(text: str, found: dict[bytes, str]) -> str:
    """Adds what is there; "" or what is wrong with it."""
    try:
        for certificate in x509.load_pem_x509_certificates(text.encode()):
            basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            if not basic.value.ca:
                return "not the certificate of an authority"
            found[certificate.fingerprint(SHA256())] = certificate.public_bytes(Encoding.PEM).decode()
    except x509.ExtensionNotFound:
        return "not the certificate of an authority"
    except ValueError:
        return "no certificate in PEM"
    return ""


def nouns(said: Said) -> tuple[Network, Wiring | None]:
    """What a box has. Where nothing but one address or DHCP is said, all is as it was before there were links."""
    shared = (said.dns, said.proxy or Proxy(), said.ntp, said.ca)
    if not said.links and shared == ((), Proxy(), (), ""):
        return said.plain, None
    links = tuple(said.links.values())
    plain = said.plain
    if not links and not plain.dhcp:
        gateways = (plain.gateway,) if plain.gateway else ()
        links = (Link(plain.interface, addresses=(plain.address,), gateways=gateways),)
    wiring = Wiring(links, said.dns or plain.dns, *shared[1:])
    way = wiring.way_out or next(iter(links), None)
    if way and way.addresses:
        return Network(way.name, way.addresses[0], next(iter(way.gateways), ""), wiring.dns), wiring
    return Network(), wiring


def uncarried(
    levels: "Mapping[str, Parsed[BoxFile]]", boxes: Mapping[str, Box], packages: Mapping[str, Package]
) -> Iterator[Problem]:
    """Boxes whose wiring nothing on them would carry out: of each role the first, unless a box has its own."""
    told: set[str] = set()
    for name, box in boxes.items():
        yield from _by_air(name, box, levels[name])
        own = bool(levels[name].content.network.model_fields_set)
        if box.wiring is None or not box.spec.services or _carried(box, packages) or (box.role in told and not own):
            continue
        told.add(box.role)
        message = "no service of this box carries out what `network` says of links, proxy, clocks and certificates"
        hint = "take the newer pkg/dhcpcd (`toweros upgrade`), or keep to `dhcp` or one `address`"
        yield levels[name].problem(("network",) if own else ("role",), message, hint)


def _by_air(name: str, box: Box, level: "Parsed[BoxFile]") -> Iterator[Problem]:
    """Links that only another service than the usual one lets in."""
    services = {container.name for container in box.spec.services}
    for link in box.wiring.links if box.wiring and services else ():
        for service, needed in (("wifi", link.access), ("modem", link.modem)):
            if needed and service not in services:
                own = link.name in level.content.network.links
                message = f"{name} has no service `{service}`, which the link `{link.name}` needs"
                hint = f"add boot/{service}.yml to its role's `boot` (and pkg/{service}, by `toweros upgrade`)"
                yield level.problem(("network", "links", link.name) if own else ("role",), message, hint, key=True)


def _carried(box: Box, packages: Mapping[str, Package]) -> bool:
    for container in box.spec.services:
        package = packages.get(container.image.removeprefix("@pkg:"))
        config = {**(package.config if package else {}), **container.settings}
        binds = config.get("binds") or ()
        if RIGHT in (config.get("capabilities") or ()) and any(str(bind).startswith(READS) for bind in binds):
            return True
    return False
