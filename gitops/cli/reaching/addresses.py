"""Where a box says that it is, as far as somebody may be sent there.

In: what its last report has, anybody's words. Out: addresses, at most `MOST`. Rules: an address is an IP address and
nothing else (no option of ssh, no name); none that means this machine, everybody, or only the box's own cable.

    usable(["192.0.2.7/24", "-oProxyCommand=x", "127.0.0.1"])      # ["192.0.2.7"]
    answering(["192.0.2.7", "2001:db8::7"])                        # the first that takes a connection
"""

import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address

MOST = 16
PATIENCE = 3.0
"""Seconds for one address."""
SSH = 22


def usable(said: Iterable[object]) -> list[str]:
    """In their order, each once."""
    found = dict[str, None]()
    for word in list(said)[:MOST]:
        with suppress(ValueError):
            address = ip_address(str(word)[:64].partition("/")[0])
            scoped = getattr(address, "scope_id", None)
            inner = getattr(address, "ipv4_mapped", None) or address
            if not (inner.is_loopback or inner.is_unspecified or inner.is_multicast or inner.is_link_local or scoped):
                found[str(address)] = None
    return list(found)


def answering(addresses: Iterable[str], port: int = SSH) -> str:
    """Empty: none of them does."""
    for address in addresses:
        with suppress(OSError), socket.create_connection((address, port), PATIENCE):
            return address
    return ""
