"""Places in an image for all that is mounted into it: where a read-only root has none, runc can make none. Pure.

In: what runc is told of a container (`config.json`), its image's tree, what is known of the box's own files. Out: each
destination without a place, why, and the fix. Rules, as runc 1.1 goes about it (libcontainer/rootfs_linux.go):

- mounts are made in their order; links are followed, and never lead out of the root; what is not there is passed by
  its name (securejoin);
- what is missing is made: in a writable root, and in a mount that came before it. What lies below a bind, or in /proc
  or /sys, is the box's affair and not judged;
- a folder is mounted on a folder, a file on a file; /proc and /sys on a folder that is no link;
- a root has a place for the working folder, too, and for devices.

    [*lacking(config, entries, {"/etc/hostname": False}.get)]
    # [Lacking("/etc/hostname", "the image has no /etc/hostname, and ..", "add it: `RUN touch /etc/hostname`")]
"""

import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gitops.assemble.tars.tree import MAX_LINKS, Entry
from gitops.model import Json

KindOf = Callable[[str], bool | None]
"""A path of the box -> whether it is a folder; None: nobody knows before it runs."""
OF_KERNEL = ("proc", "sysfs")
ALWAYS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/random", "/dev/urandom")
"""Devices that runc makes in each container whose /dev is not the box's (runtime spec, "Default Devices")."""


@dataclass(frozen=True)
class Lacking:
    """A destination that cannot be mounted on."""

    destination: str
    why: str
    fix: str


@dataclass(frozen=True)
class _Spot:
    """Where a path leads in the root. `entry`: what is there, None: nothing; `mounted`: the type of the mount that it
    is in or on, empty: none."""

    path: str
    entry: Entry | None = None
    mounted: str = ""
    wrong: str = ""


@dataclass
class _Root:
    entries: Mapping[str, Entry]
    readonly: bool
    mounts: dict[str, str] = field(default_factory=dict)

    def find(self, path: str, *, last: bool = True) -> _Spot:
        """`last`: whether a link at the end is followed."""
        todo, done, links = path.split("/")[::-1], "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = f"{done}/{part}".lstrip("/")
            entry = None if self._mount(here) else self.entries.get(here)
            if entry and entry.kind == stat.S_IFLNK and (last or any(todo)):
                links += 1
                if links > MAX_LINKS:
                    return _Spot(here, wrong=f"the links at /{here} of its image lead nowhere")
                done = "" if entry.link.startswith("/") else done
                todo += entry.link.split("/")[::-1]
            else:
                done = here
        return self._spot(done)

    def _spot(self, path: str) -> _Spot:
        """What is at a path without links on its way."""
        if kind := self._mount(path):
            return _Spot(path, mounted=kind)
        for above in _above(path):
            entry = self.entries.get(above)
            if entry and entry.kind != stat.S_IFDIR:
                return _Spot(path, wrong=f"/{above} of its image is a file")
        return _Spot(path, self.entries.get(path))

    def _mount(self, path: str) -> str:
        """The type of the mount that a path is in or on."""
        return next((self.mounts[each] for each in (path, *_above(path)) if each in self.mounts), "")


def _above(path: str) -> Iterator[str]:
    """The folders that a path is in, without the root."""
    while path := posixpath.dirname(path):
        yield path


def lacking(config: Json, entries: Mapping[str, Entry], kind_of: KindOf) -> Iterator[Lacking]:
    """In the order in which runc would come to them. `entries`: the image's, by path below the root."""
    root = _Root(entries, bool(config["root"].get("readonly")))
    own_dev = True
    for mount in config.get("mounts") or ():
        bound = {"bind", "rbind"} & set(mount.get("options") or ())
        path, kind = mount["destination"], "bind" if bound else mount["type"]
        own_dev = own_dev and not (_clean(path) == "/dev" and kind == "bind")
        folder = kind_of(mount["source"]) if kind == "bind" else True
        spot = root.find(path, last=kind not in OF_KERNEL)
        if found := _wrong(root, spot, path, folder=folder, kernels=kind in OF_KERNEL):
            yield found
        root.mounts[spot.path] = kind
    devices = [device["path"] for device in (config.get("linux") or {}).get("devices") or ()]
    for path in dict.fromkeys([*ALWAYS, *devices] if own_dev else []):
        if found := _wrong(root, root.find(path), path, folder=False):
            yield found
    if found := _wrong(root, root.find(cwd := config["process"].get("cwd") or "/"), cwd, folder=True):
        yield found


def _wrong(root: _Root, spot: _Spot, path: str, *, folder: bool | None, kernels: bool = False) -> Lacking | None:
    """Why nothing can be mounted there. `folder`: whether it is a folder that is mounted; None: nobody knows."""
    if spot.wrong:
        return Lacking(path, spot.wrong, "mount it at another place")
    if spot.mounted:
        return None
    if spot.entry or not spot.path:
        return _other(spot, path, folder=folder, kernels=kernels)
    if not root.readonly:
        return None
    make = f"RUN {_command(spot.path, folder=folder is not False)}"
    where = "" if f"/{spot.path}" == _clean(path) else f", where {_clean(path)} leads"
    why = f"its image has no /{spot.path}{where}, and a read-only root gets none"
    return Lacking(path, why, f"add `{make}` to the image's Dockerfile, or take `readonly` away")


def _other(spot: _Spot, path: str, *, folder: bool | None, kernels: bool) -> Lacking | None:
    """Why nothing can be mounted on what is there."""
    there = spot.entry.folder if spot.entry else True
    if kernels and not there:
        return Lacking(path, f"/{spot.path} of its image is no folder", "make it one in the image's Dockerfile")
    if folder is None or folder == there:
        return None
    has, mounted = ("a folder", "a file") if there else ("a file", "a folder")
    why = f"/{spot.path} of its image is {has}, and what is mounted there is {mounted}"
    return Lacking(path, why, "name another place, or change the image's Dockerfile")


def _command(path: str, *, folder: bool) -> str:
    if folder:
        return f"mkdir -p /{path}"
    above = posixpath.dirname(path)
    return f"mkdir -p /{above} && touch /{path}" if above else f"touch /{path}"


def _clean(path: str) -> str:
    """As runc writes it: absolute, without dots and double slashes."""
    return posixpath.normpath(f"/{path.lstrip('/')}")
