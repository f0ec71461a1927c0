"""The links of a box: their addresses, and how well the radio is heard.

In: the kernel's answer to RTM_GETADDR (rtnetlink(7)), /proc/net/wireless. Out: by name, as the report has them. Rules:
an address that only the box itself or its own cable reaches is none, nor is a link that Docker made; so many links with
so many addresses each, in the order of the kernel.

    links(Path("/proc"))        # {"eth0": {"addresses": ["192.0.2.7/24"]}}
"""

import re
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

from toweros_agent import deadlines
from toweros_agent.nouns import Json

MAX_LINKS, MAX_ADDRESSES, MAX_TEXT, MAX_ANSWER = 8, 4, 64 << 10, 4 << 20
OWN = re.compile(r"lo|docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]+")
"""Of containers: nobody reaches the box there."""
NAME = re.compile(r"[!-~]{1,15}")
"""IFNAMSIZ less one."""
RTM_NEWADDR, RTM_GETADDR, NLMSG_DONE, NLMSG_ERROR = 20, 22, 3, 2
NLM_F_REQUEST_DUMP = 0x301
IFA_ADDRESS, IFA_LOCAL = 1, 2
GLOBAL, SITE = 0, 200
"""Scopes (rtnetlink(7)) that others reach."""
DBM = 5
"""Steps in which a radio's level is told: it is never still."""


def links(proc: Path) -> Json:
    """Raises `OSError`."""
    found: dict[str, list[str]] = {}
    for name, address in _addresses():
        if not OWN.fullmatch(name) and (name in found or len(found) < MAX_LINKS):
            found.setdefault(name, []).append(address)
    levels = signals(proc)
    return {
        name: {"addresses": each[:MAX_ADDRESSES]} | ({"signal": levels[name]} if name in levels else {})
        for name, each in found.items()
    }


def signals(proc: Path) -> dict[str, int]:
    """Link -> dBm, of those that are radios."""
    try:
        with (proc / "net" / "wireless").open() as file:
            rows = [line.replace(".", " ").split() for line in file.read(MAX_TEXT).splitlines()[2:]]
    except OSError:
        return {}
    words = {row[0].rstrip(":"): row[3] for row in rows if len(row) > 3}
    levels = {name: int(level) for name, level in words.items() if re.fullmatch(r"-\d{1,3}", level)}
    return {name: round(level / DBM) * DBM for name, level in levels.items()}


def _addresses() -> Iterator[tuple[str, str]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(deadlines.FACTS)
        asked.send(struct.pack("=IHHIIB7x", 24, RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0, socket.AF_UNSPEC))
        size = 0
        while size < MAX_ANSWER:
            data = asked.recv(MAX_TEXT)
            size += len(data)
            for kind, body in _messages(data):
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                if kind == RTM_NEWADDR and (row := _row(body)):
                    yield row


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """netlink(7): length, kind, 10 bytes more, what it is about; the next one at a multiple of four."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _row(body: bytes) -> tuple[str, str] | None:
    """`struct ifaddrmsg`: family, prefix, flags, scope, index; then attributes."""
    if len(body) < 8:
        return None
    _, prefix, _, scope, index = struct.unpack_from("=BBBBI", body)
    values = dict(_attributes(body[8:]))
    packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
    if scope not in (GLOBAL, SITE) or packed is None or len(packed) not in (4, 16):
        return None
    name = socket.if_indextoname(index)
    return (name, str(ip_interface((packed, prefix)))) if NAME.fullmatch(name) else None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind, data[4:length]
        data = data[(length + 3) & ~3 :]
