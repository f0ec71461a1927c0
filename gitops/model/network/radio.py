"""What lets a link in: a wireless network, 802.1X, a modem's operator; as words of `/etc/toweros/network`. Pure.

In: what `wifi`, `dot1x` or `modem` of a link say. Out: lines (docs/formats.md, "The network of a box"). Rules: a secret
is a name here, never a value: that is on the box, and nowhere in Git; texts of others are written in hex, as they may
hold anything.

    [*Access("wpa2", ssid="Site 7", secret="site-7").lines("air")]
    # ["access air wifi wpa2", "ssid air 536974652037", "secret air site-7"]
"""

from collections.abc import Iterator
from dataclasses import dataclass

MODEM_METRIC = 5000
"""Of a modem that says none: behind what dhcpcd gives cards (1000 and more) and radios (3000 and more)."""
ENTERPRISE = ("peap", "tls")
"""802.1X: a server says who may come in, and must be known itself."""


@dataclass(frozen=True)
class Access:
    """`security` is `open`, `wpa2`, `wpa3`, `peap` or `tls`. `secret`: the name of a passphrase, or with `tls` of a key
    with its certificate (PEM). `server`: the name that the 802.1X server proves. Without `ssid` a cable (802.1X)."""

    security: str
    ssid: str = ""
    secret: str = ""
    identity: str = ""
    server: str = ""
    country: str = ""

    @property
    def enterprise(self) -> bool:
        return self.security in ENTERPRISE

    def lines(self, link: str) -> Iterator[str]:
        yield f"access {link} {'wifi' if self.ssid else 'wired'} {self.security}"
        yield from _hex(link, "ssid", self.ssid)
        yield from _hex(link, "identity", self.identity)
        yield from (f"{key} {link} {value}" for key in ("server", "country", "secret") if (value := getattr(self, key)))


@dataclass(frozen=True)
class Modem:
    """A modem that is dialled by PPP. `device` is its tty, such as ttyUSB2, or it is found by the link's `bus`; `pin`
    and `secret` (of `user`) are names of secrets; `ipv6`: beside IPv4."""

    apn: str
    device: str = ""
    pin: str = ""
    user: str = ""
    secret: str = ""
    ipv6: bool = False

    def lines(self, link: str, bus: str) -> Iterator[str]:
        yield f"modem {link} {f'bus {bus}' if bus else f'name {self.device}'}"
        yield f"apn {link} {self.apn}"
        yield from [f"ipv6 {link}"] if self.ipv6 else []
        yield from _hex(link, "user", self.user)
        yield from (f"{key} {link} {value}" for key in ("pin", "secret") if (value := getattr(self, key)))


def _hex(link: str, key: str, text: str) -> Iterator[str]:
    if text:
        yield f"{key} {link} {text.encode().hex()}"
