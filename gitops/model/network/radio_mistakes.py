"""What a radio, a modem or 802.1X cannot be. Pure.

In: all links. Out: mistakes, as of any link. Rules: as there.

    [*radio_mistakes({"cell": Link("cell", modem=Modem("internet", "ttyUSB2"), dhcp=True)})]
"""

from collections.abc import Iterator, Mapping

from gitops.model.network.mistake import Mistake
from gitops.model.network.wiring import Link

WITHOUT_PPP = ("qmi_wwan", "cdc_mbim")
"""Drivers of modems whose network card carries nothing before somebody speaks QMI or MBIM with them."""


def radio_mistakes(named: Mapping[str, Link]) -> Iterator[Mistake]:
    devices: dict[str, str] = {}
    for link in named.values():
        device = link.modem.device if link.modem else ""
        if device and (other := devices.setdefault(device, link.name)) != link.name:
            yield Mistake(link.name, "modem", f"{device} is `{other}` already", "each link has its own")
    for link in named.values():
        if link.modem:
            yield from _modem(link)
        if link.driver in WITHOUT_PPP and not link.modem:
            message = f"a card of `{link.driver}` is silent until QMI or MBIM starts it, which nothing here speaks"
            hint = "say `modem`, by its tty; what else there is: docs/hardware.md, Radios and modems"
            yield Mistake(link.name, "driver", message, hint)
        if link.access and link.parent + "".join(link.bond):
            key = "wifi" if link.access.ssid else "dot1x"
            yield Mistake(link.name, key, f"a VLAN or bond does not say `{key}`", "say it of the network card")
        yield from _carries(link, named)


def _modem(link: Link) -> Iterator[Mistake]:
    keys = ("mac", "driver", "parent", "vlan", "bond", "dhcp", "slaac", "addresses", "gateways", "routes", "mtu")
    for key in (key for key in keys if getattr(link, key)):
        yield Mistake(link.name, key, f"a modem has no `{key}`: its operator says all of it", f"leave out `{key}`")
    if link.access:
        yield Mistake(link.name, "modem", "a link is a modem or a network card", "leave out one of them")
    if link.modem and bool(link.modem.device) == bool(link.bus):
        yield Mistake(link.name, "modem", "which modem it is, is said once", "say its `device`, or the link's `bus`")


def _carries(link: Link, named: Mapping[str, Link]) -> Iterator[Mistake]:
    """A station has one MAC, and a modem none: neither carries frames of others."""
    for other in ([link.parent] if link.parent else []) + list(link.bond):
        below = named.get(other)
        if below and (below.modem or (below.access and below.access.ssid)):
            what = "a modem" if below.modem else "a wireless card"
            yield Mistake(link.name, "parent" if link.parent else "bond", f"`{other}` is {what}", "name a network card")
