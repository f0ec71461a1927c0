"""`runtime:` of a container, where init could not carry it out on a box (pkg/init: common.sh, around). Pure.

In: `runtime` as LinuxKit's YAML has it (docs/yaml.md). Out: the key, what is wrong, and the fix. Rules: the root is
read-only, so what is made there lies where memory is mounted; an interface has a name that the kernel takes, and a type
that needs no more than that; what only LinuxKit's init would pass over is a mistake, too.

    [*around({"bindNS": {"net": "run/x"}})]    # [("runtime", "bindNS.net: `run/x` is no absolute path", "..")]
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from gitops.model import Json

Refused = tuple[str, str, str]
Told = tuple[str, str]
ABSOLUTE = "write an absolute path"
WRITABLE = ("/run/", "/var/", "/tmp/", "/dev/")  # noqa: S108 - of a box
MAX_NAME = 15
"""Bytes of an interface's name (IFNAMSIZ of the kernel, with the zero at its end)."""
NAMESPACE, MAX_NAMESPACE = "[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*", 76
"""What containerd takes as an identifier (its package `identifiers`)."""
NEEDY = (
    *("vlan", "vxlan", "vrf", "macvlan", "macvtap", "ipvlan", "ipvtap", "geneve", "gtp", "bareudp", "macsec", "xfrm"),
    *("ppp", "tun", "lowpan", "ipoib", "hsr", "netkit", "rmnet", "ovpn", "amt", "can"),
)
"""Types that the kernel makes of more than a name: a number, or another interface."""


def around(runtime: Json) -> Iterator[Refused]:
    """In no order that means anything; the key is `runtime`."""
    told = chain(_kept(runtime), _folders(runtime), _cgroups(runtime), _interfaces(runtime))
    told = chain(told, _namespace(runtime), _words(runtime))
    for message, hint in told:
        yield "runtime", message, hint


def _kept(runtime: Json) -> Iterator[Told]:
    paths: dict[str, str] = {}
    for key, path in (runtime.get("bindNS") or {}).items():
        if not path:
            continue
        if not path.startswith("/"):
            yield f"bindNS.{key}: `{path[:80]}` is no absolute path", ABSOLUTE
        elif not path.startswith(WRITABLE) or ".." in path.split("/") or path.endswith("/"):
            yield f"bindNS.{key}: nothing can be made at {path[:80]}", "write a path below /run, /var, /tmp or /dev"
        elif path in paths:
            yield f"bindNS.{key}: {path[:80]} is where `{paths[path]}` is kept", "give each a path of its own"
        paths[path] = key


def _folders(runtime: Json) -> Iterator[Told]:
    for path in runtime.get("mkdir") or ():
        if not path.startswith("/"):
            yield f"mkdir: `{path[:80]}` is no absolute path", ABSOLUTE
    for mount in runtime.get("mounts") or ():
        path = mount.get("destination") or ""
        if not path.startswith("/"):
            yield f"mounts: the destination `{path[:80]}` is no absolute path", ABSOLUTE
        options = mount.get("options") or ()
        if not (mount.get("source") or "").startswith("/") and {"bind", "rbind"} & {*options, mount.get("type")}:
            yield f"mounts: nothing is named that {path[:80]} is bound to", "write `source: /PATH`"


def _cgroups(runtime: Json) -> Iterator[Told]:
    """As `cgroupsPath`: below `services`, which leaves something to what keeps the box within reach."""
    for path in runtime.get("cgroups") or ():
        if {"", ".", "..", "run"} & set(path.split("/")):
            yield f"cgroups: `{path[:80]}` is no relative path", "write it without `/` at the beginning, `..` and `run`"


def _interfaces(runtime: Json) -> Iterator[Told]:
    names: set[str] = set()
    for each in runtime.get("interfaces") or ():
        name, kind, peer = each["name"], each.get("add") or "", each.get("peer") or ""
        for text in (name, peer):
            if text and (not re.fullmatch(r"[^\s/:|%]+", text) or len(text.encode()) > MAX_NAME or text in (".", "..")):
                hint = f"use at most {MAX_NAME} letters, digits, `-`, `_` and `.`"
                yield f"interfaces: `{text[:80]}` is no name of an interface", hint
            elif text in names:
                yield f"interfaces: `{text}` is there twice", "give one another name"
            names |= {text} - {""}
        if not name:
            yield "interfaces: one has no name", "write `name:`"
        yield from _kind(name, kind, peer)


def _kind(name: str, kind: str, peer: str) -> Iterator[Told]:
    if peer and kind not in ("", "veth"):
        yield f"interfaces: {name} of type {kind[:40]} has no peer", "take `peer` out, or write `add: veth`"
    if kind == "veth" and not peer:
        yield f"interfaces: {name} is one end of a pair without the other", "write `peer: NAME` for the box's end"
    if kind in NEEDY:
        hint = "make it by `ip link add` in an `onboot` container, and name it here without `add`"
        yield f"interfaces: {name} of type {kind} needs more than a name", hint
    elif kind and not re.fullmatch("[a-z0-9][a-z0-9_-]*", kind):
        yield f"interfaces: `{kind[:40]}` is no type of interface", "write wireguard, dummy, bridge, veth, ..."


def _namespace(runtime: Json) -> Iterator[Told]:
    name = runtime.get("namespace") or ""
    if name and (len(name) > MAX_NAMESPACE or not re.fullmatch(NAMESPACE, name)):
        yield (
            f"namespace: `{name[:80]}` is no name for containerd",
            "use letters, digits and, between them, `.`, `_`, `-`",
        )


def _words(runtime: Json) -> Iterator[Told]:
    """Init reads lines, with `|` between the words of one."""
    lists = (runtime.get("mkdir"), runtime.get("bindNS"), runtime.get("cgroups"), runtime.get("mounts"))
    for text in filter(re.compile(r"[|\x00-\x1f\x7f]").search, texts(lists)):
        yield f"{text[:80]!r} has a character that init does not take", "write it without"


def texts(value: Any) -> list[str]:
    """A text, a number, or all of a list or mapping, however deep."""
    if value is None:
        return []
    if isinstance(value, str | int):
        return [str(value)]
    values = value.values() if isinstance(value, dict) else value
    return [text for each in values for text in texts(each)]
