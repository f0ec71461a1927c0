"""What an app may take from its own folder, and from the box that it runs on. Pure but for the tree.

In: a tree, an app's folder, where in it the file stands that names something. Out: mistakes as (message, fix). Rules:
a relative path begins where the file stands that names it, as compose has it (a profile: in the app's folder), and
stays in the app's folder; a link on the way leads elsewhere than it looks.

    [*Beside(tree, "app", "app").source("/etc/passwd")]     # [("`/etc/passwd` of the box is not for ..", ..)]
"""

import posixpath
from collections.abc import Iterator
from typing import Any

from gitops.model import Tree

BINDABLE = ("/data", "/dev")
"""What a user container may see of the box: its data and its devices, never what the box boots from."""
READABLE = ("/etc/localtime", "/etc/timezone", "/lib/modules", "/usr/lib/modules")
"""And what it may read: pkg/docker has these."""
HOLDS = "/run/toweros/holds"
"""Where each app has a folder of its own, in which a file holds a restart off (pkg/init makes them)."""
LINK = 0o120000
Wrong = tuple[str, str]
"""What is wrong, and the fix."""


class Beside:
    """For one file of an app."""

    def __init__(self, tree: Tree, folder: str, here: str) -> None:
        self._tree, self._folder, self._here = tree, folder, here

    def volume(self, volume: Any) -> Iterator[Wrong]:
        """A row of `volumes:`."""
        if isinstance(volume, dict):
            kind = str(volume.get("type", ""))
            if "$" in kind:
                yield f"`{kind}` is known on the box only", "write out which type it is"
            source = path_of(volume.get("source", "")) if kind == "bind" else ""
            closed = volume.get("read_only") is True
        else:
            source, _, rest = str(volume).partition(":") if ":" in str(volume) else ("", "", "")
            closed = "ro" in rest.partition(":")[2].split(",")
        clean = posixpath.normpath(source)
        if not (closed and clean in READABLE) and clean != self._own_veto():
            yield from self.source(source)

    def _own_veto(self) -> str:
        return f"{HOLDS}/{posixpath.basename(self._folder)}"

    def lender(self, row: str) -> Iterator[Wrong]:
        """A row of `volumes_from:`. Behind `container:` compose takes any container of the box, with its app's veto."""
        if "$" in row:
            yield f"`{row}` is known on the box only", "write out which service it is"
        elif row.startswith("container:"):
            hint = "name a service of the app, or declare a volume with `name:` that both mount"
            yield f"`{row}` would lend all that another container has", hint

    def source(self, source: str) -> Iterator[Wrong]:
        """What a mount is made from: a path of the box, of the app, or the name of a volume."""
        if "$" in source:
            yield f"`{source}` is known on the box only", "write the path out"
        elif source.startswith("/"):
            clean = posixpath.normpath(source)
            if not any(clean == top or clean.startswith(f"{top}/") for top in BINDABLE):
                hint = "user data is below /data, devices below /dev; files of the app are `./NAME`"
                if clean in READABLE:
                    hint = f"it may be read: {clean}:{clean}:ro"
                elif f"{clean}/".startswith((f"{HOLDS}/", "/run/toweros/hold/", "/run/toweros/hold.d/")):
                    hint = f"a restart is held off in the app's own folder, whole: {self._own_veto()}:/hold"
                yield f"`{source}` of the box is not for user containers", hint
        elif source.startswith((".", "~")):
            yield from self.file(source)

    def profile(self, option: str) -> Iterator[Wrong]:
        """A row of `security_opt:`."""
        kind, _, name = option.replace("=", ":", 1).partition(":")
        top = Beside(self._tree, self._folder, self._folder)
        if kind == "seccomp" and name != "unconfined":
            yield from top.file(name)
        if kind == "apparmor" and name not in ("unconfined", "docker-default"):
            yield from top.file(f"./apparmor/{name}")

    def read(self, file: str, *, must: bool) -> Iterator[Wrong]:
        """A file that compose itself reads: what asks compose about an app must read nothing else of its machine."""
        path = posixpath.normpath(posixpath.join(self._here, file))
        if "$" in file:
            yield f"`{file}` is known on the box only", "write the path out"
        elif must or not path.startswith(f"{self._folder}/"):
            yield from self.file(file)

    def file(self, name: str) -> Iterator[Wrong]:
        """A file or folder of the app."""
        if self.through_a_link(self._here, name):
            yield f"`{name}` leads through a link", "name the file itself"
            return
        path = posixpath.normpath(posixpath.join(self._here, name))
        inside = path == self._folder or path.startswith(f"{self._folder}/")
        entries = self._tree.entries()
        if not inside or not (path in entries or any(other.startswith(f"{path}/") for other in entries)):
            yield f"there is no `{name}` in {self._here}", "add it, or fix the path"

    def whole_file(self, name: str) -> Iterator[Wrong]:
        """A file of the app, and no link."""
        entry = self._tree.entries().get(posixpath.normpath(posixpath.join(self._here, name)))
        if entry and entry.mode == LINK:
            yield f"`{name}` is a link", "name the file itself"
        else:
            yield from self.file(name)

    def through_a_link(self, folder: str, name: str) -> bool:
        """Whether a part of the way is a link: from there, `..` is another folder than it looks."""
        way, entries = [part for part in folder.split("/") if part], self._tree.entries()
        for part in name.split("/")[:-1]:
            if part == "..":
                way = way[:-1]
            elif part not in ("", "."):
                way.append(part)
            entry = entries.get("/".join(way))
            if entry and entry.mode == LINK:
                return True
        return False


def path_of(value: Any) -> str:
    """A path as compose reads it where no name of a volume may stand: relative ones need no `./`."""
    return str(value) if str(value).startswith(("/", ".", "~", "$")) else f"./{value}"
