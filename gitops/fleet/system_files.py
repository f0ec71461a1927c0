"""The files that TowerOS itself puts on a box: who it is, whom it trusts, how it reaches the world. All of them, here.

In: a `Box` and the fleet repo. Out: LinuxKit's `files:` entries for the box's own small layer.

    /etc/hostname                      the box's name
    /etc/toweros/root.json             keys/root.json: the TUF root that the box is born with
    /etc/toweros/builder.json          keys/builder.json: whose builds it takes; without it, any
    /etc/toweros/firmware.json         keys/firmware.json: certificates that its firmware is to follow to
    /etc/toweros/agent.d/50-box.toml   the keys that the agent reads (`Key.writes`)
    /etc/toweros/agent.d/60-noc.toml   the site's own server, where there is one
    /etc/toweros/agent.d/61-copies.toml places that have what the server serves, where there are some
    /etc/ssh/authorized_keys           keys/authorized_keys (empty when there is none: the service binds it)
    /etc/dhcpcd.conf.d/50-box.conf     a static address, in dhcpcd.conf(5)'s words (empty for DHCP)
    /etc/toweros/network               links, proxy, clocks; where there are some, the file above is empty
    /etc/toweros/remote/               with `remote:`: what people may do through the server, and keys/ssh_user_ca.pub
    /etc/toweros/ca.crt                certificates of authorities that the box believes besides the usual ones
"""

import json

from gitops.errors import Problem
from gitops.fleet.cache import text_of
from gitops.fleet.keys.people import USER_CA, entrance
from gitops.model import DROP_IN, KEYS, STATIC_ADDRESS, Box, Json, Network, Tree
from gitops.model.keys import NOC_DROP_IN, WIRING
from gitops.model.network.copies import COPIES_DROP_IN

ROOT_JSON = "keys/root.json"
BUILDER_JSON = "keys/builder.json"
FIRMWARE_JSON = "keys/firmware.json"
AUTHORITIES = "etc/toweros/ca.crt"
AUTHORIZED_KEYS = "keys/authorized_keys"
LARGEST = 256 << 10
"""Bytes of one of them."""


def box_files(box: Box, tree: Tree) -> tuple[Json, ...]:
    """The box's system files; paths that no fleet file may name."""
    files = [
        _file("etc/hostname", box.name + "\n"),
        _file(DROP_IN, drop_in(box)),
        _file("etc/ssh/authorized_keys", _text(tree, AUTHORIZED_KEYS), "0600"),
        _file(STATIC_ADDRESS, "" if box.wiring else _dhcpcd(box.network)),
    ]
    if box.noc:
        files.append(_file(NOC_DROP_IN, drop_in(box, NOC_DROP_IN)))
    if box.copies:
        files.append(_file(COPIES_DROP_IN, drop_in(box, COPIES_DROP_IN)))
    if box.wiring:
        files.append(_file(WIRING, box.wiring.text()))
        files += [_file(AUTHORITIES, box.wiring.ca)] if box.wiring.ca else []
    files += [_file(path, text) for path, text in entrance(box, _text(tree, USER_CA)).items()]
    for path in (ROOT_JSON, BUILDER_JSON, FIRMWARE_JSON):
        if path in tree.entries():
            files.append(_file(f"etc/toweros/{path.rpartition('/')[2]}", _text(tree, path)))
    return tuple(files)


def _file(path: str, contents: str, mode: str = "0644") -> Json:
    return {"path": path, "contents": contents, "mode": mode}


def _text(tree: Tree, path: str) -> str:
    return text_of(tree, path, errors="replace") if path in tree.entries() else ""


def too_large(tree: Tree) -> list[Problem]:
    """What every box gets must be small."""
    paths = (ROOT_JSON, BUILDER_JSON, FIRMWARE_JSON, AUTHORIZED_KEYS, USER_CA)
    sizes = {path: tree.entries()[path].size for path in paths if path in tree.entries()}
    hint = f"every box gets it: at most {LARGEST >> 10} KiB"
    return [Problem(path, 1, 1, f"{size} bytes are too many", hint) for path, size in sizes.items() if size > LARGEST]


def drop_in(box: Box, path: str = DROP_IN) -> str:
    """What the agent is told (contracts/agent). TOML: numbers, texts, booleans and lists are written as in JSON."""
    values = ((name, getattr(box, name)) for name, key in KEYS.items() if key.writes == path)
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values if value is not None)


def _dhcpcd(network: Network) -> str:
    """dhcpcd.conf(5): an interface with a static address asks nobody."""
    if network.dhcp:
        return ""
    lines = [f"interface {network.interface}", f"static ip_address={network.address}"]
    lines += [f"static routers={network.gateway}"] * bool(network.gateway)
    lines += [f"static domain_name_servers={' '.join(network.dns)}"] * bool(network.dns)
    return "\n".join(lines) + "\n"
