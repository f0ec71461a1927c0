"""What compose takes and Docker then refuses on a box: names and ports that are taken, and what nobody makes there.

In: the apps of one box, the tree. Out: mistakes at the line of the compose file. Rules: nothing is made on a box by
hand, so an external network or volume is one that another app of the box declares (`name:`), and external secrets and
configs, which are Swarm's, are nowhere; two containers have neither one name nor one port of the box. What a variable
says, and what only a profile starts, is not judged.

    clashes(tree, box.apps)     # [Problem("app/docker-compose.yml", 9, 3, "two containers are named `web`", ..)]
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from gitops.errors import Problem
from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import Document, Path, read
from gitops.fleet.images.tracked import COMPOSE
from gitops.model import App, Json, Tree

THERE = ("bridge", "host", "none")
"""Networks that Docker has by itself."""
_PORT = re.compile(r"(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<port>[0-9]{1,5}):[0-9]{1,5}(?:/(?P<kind>[a-z]+))?")
Told = tuple[Path, str, str]


def clashes(tree: Tree, apps: tuple[App, ...]) -> list[Problem]:
    """Of one box."""
    made = {kind: {name for app in apps for name in _made(app, kind)} for kind in ("networks", "volumes")}
    taken: dict[object, str] = {}
    found: list[Problem] = []
    for app in apps:
        told = [*_nowhere(app, made), *_devices(app), *_twice(app, taken)]
        document = _document(tree, f"{app.path}/{COMPOSE}") if told else Document("")
        found += [document.problem(*each) for each in told]
    return list(dict.fromkeys(found))


def _document(tree: Tree, path: str) -> Document:
    return read(tree.read(path), path, [], Fragments) or Document(path)


def _declared(app: App, kind: str) -> Iterator[tuple[str, Json]]:
    entries = app.compose.get(kind)
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        yield name, entry if isinstance(entry, dict) else {}


def _made(app: App, kind: str) -> Iterator[str]:
    """As Docker calls them: by `name:`, else after the project, which is the app."""
    yield f"{app.name}_default"
    for name, entry in _declared(app, kind):
        if not entry.get("external"):
            yield str(entry.get("name") or f"{app.name}_{name}")


def _nowhere(app: App, made: dict[str, set[str]]) -> Iterator[Told]:
    used = {kind: _used(app, kind) for kind in ("networks", "volumes", "secrets", "configs")}
    for kind in ("networks", "volumes"):
        for name, entry in _declared(app, kind):
            said = entry.get("external")
            called = str((said.get("name") if isinstance(said, dict) else None) or entry.get("name") or name)
            known = {*made[kind], *(THERE if kind == "networks" else ())}
            if said and name in used[kind] and "$" not in called and called not in known:
                hint = f"leave `external` out; or declare it with `name: {called}` in another app of the box"
                yield (kind, name), f"nobody makes the {kind[:-1]} `{called}` on a box", hint
    for kind in ("secrets", "configs"):
        for name, entry in _declared(app, kind):
            if entry.get("external") and name in used[kind]:
                yield (kind, name), f"external {kind} are Swarm's, and boxes have none", "write `file:` instead"


def _used(app: App, kind: str) -> set[str]:
    """What services name of a kind: the rest is never asked for."""
    rows = (keys.get(kind) for keys in app.services().values())
    return {name for row in rows for name in _names(row)}


def _names(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list | dict) else ():
        yield str(each.get("source") or "") if isinstance(each, dict) else str(each).partition(":")[0]


def _devices(app: App) -> Iterator[Told]:
    for service, keys in app.compose["services"].items():
        rows = keys.get("devices")
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            path = str(row.get("source", "") if isinstance(row, dict) else row).partition(":")[0]
            if path.startswith("/") and not posixpath.normpath(path).startswith("/dev/"):
                place = ("services", service, "devices", index)
                yield place, f"`{path}` is no device", "devices are below /dev; bind a folder as a volume"


def _twice(app: App, taken: dict[object, str]) -> Iterator[Told]:
    """`taken`: names and ports of the containers so far."""
    for service, keys in app.services().items():
        if keys.get("profiles"):
            continue
        name, where = str(keys.get("container_name") or ""), f"{app.path}: {service}"
        if name and "$" not in name and (other := taken.setdefault(("name", name), where)) != where:
            yield ("services", service, "container_name"), f"`{name}` is also the name of {other}", "rename one"
        for port in () if keys.get("network_mode") == "host" else _ports(keys.get("ports")):
            if (other := taken.setdefault(port, where)) != where:
                message = f"port {port[1]}/{port[2]} of the box is also that of {other}"
                yield ("services", service, "ports"), message, "publish another one"


def _ports(rows: Any) -> Iterator[tuple[str, str, str]]:
    """Address, port and protocol of each that is published; no ranges."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            port = str(row.get("published") or "")
            if port.isdecimal():
                yield str(row.get("host_ip") or ""), port, str(row.get("protocol") or "tcp")
        elif match := _PORT.fullmatch(str(row)):
            yield (match["ip"] or "").strip("[]"), match["port"], match["kind"] or "tcp"
