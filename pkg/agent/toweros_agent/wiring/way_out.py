"""How this box gets out: through which proxy, and which authorities it believes besides the usual ones.

In: /etc/toweros/network and ca.crt, as Git has them (docs/formats.md, "The network of a box"). Out: a `WayOut`. Rules:
this machine itself is asked without a proxy, and so is whatever is exempt; a line that cannot be read is left out: an
agent that does not start is worse than one without a proxy.

    WayOut.read(places.etc).proxy("https", "updates.example")      # ("proxy.example", 3128), or None
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

Place = tuple[str, int]
LARGEST = 64 << 10
"""Bytes of the file that count."""


@dataclass(frozen=True)
class WayOut:
    """`proxies` by scheme; `authorities`: PEM certificates, if there is such a file."""

    proxies: dict[str, Place] = field(default_factory=dict)
    exempt: tuple[str, ...] = ()
    authorities: Path | None = None

    @classmethod
    def read(cls, etc: Path) -> "WayOut":
        try:
            with (etc / "network").open(errors="replace") as file:
                lines = [line.split() for line in file.read(LARGEST).splitlines()]
        except OSError:
            lines = []
        named = {words[1]: _place(words[2]) for words in lines if words[:1] == ["proxy"] and len(words) == 3}
        exempt = tuple(words[1] for words in lines if words[:1] == ["exempt"] and len(words) == 2)
        authorities = etc / "ca.crt"
        proxies = {scheme: place for scheme, place in named.items() if place}
        return cls(proxies, exempt, authorities if authorities.is_file() else None)

    def proxy(self, scheme: str, host: str) -> Place | None:
        """Through whom `host` is asked; None: directly."""
        return None if self._direct(host.lower().rstrip(".")) else self.proxies.get(scheme)

    def _direct(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            named = (each.lower() for each in self.exempt)
            return host == "localhost" or any(
                host == each or (each[:1] == "." and host.endswith(each)) for each in named
            )
        return address.is_loopback or any(address in net for net in map(_net, self.exempt) if net)


def _net(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _place(url: str) -> Place | None:
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port) if parts.hostname and parts.port else None
    except ValueError:
        return None
