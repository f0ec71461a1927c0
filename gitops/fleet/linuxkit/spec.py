"""LinuxKit YAML: parsed, validated and merged.

In: a tree and the paths of YAML files in it. Out: one `Spec`, and every mistake as a `Problem`; what could be read is
in the `Spec` even then.

Rules, as LinuxKit has them: several files merge by appending, and of the kernel each key's last value counts; names of
services, and of volumes, are unique; a bind to something without a leading `/` names a volume. Beyond LinuxKit: a
volume may be bound from any of the files; `@pkg:` paths are made relative to the repository (they are relative to
their file); `source:` is read from the tree (relative to its top, where `linuxkit build` would be started); with
`pins` (what images.lock says), every image that no package makes has a digest, or is a mistake.

    spec = load(tree, ["boot/oc-minimal.yml", "boot/vm.yml"], problems, pins(tree))
"""

import base64
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gitops.errors import Problem
from gitops.fleet.cache import once
from gitops.fleet.documents.budget import spend
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.files import MAX_POINTER, source_mistake
from gitops.fleet.documents.partial import partly
from gitops.fleet.documents.twice import path_twice
from gitops.fleet.documents.yaml import Document, Path
from gitops.fleet.documents.yaml import read as read_yaml
from gitops.fleet.images import boot
from gitops.fleet.levels.unread import in_unread_specs
from gitops.fleet.linuxkit import schema as linuxkit
from gitops.model import Container, Json, Spec, Tree

PACKAGE = "@pkg:"
GROUPS = ("onboot", "onshutdown", "services")
LINK = 0o120000


@dataclass(frozen=True)
class _Part:
    """One file: what it says, and where. `dropped`: parts with mistakes."""

    document: Document
    spec: Spec
    dropped: frozenset[Path] = frozenset()

    def knows(self, *groups: str) -> bool:
        """Whether every name of these lists could be read."""
        hiding = (path for path in self.dropped if len(path) < 3 or path[2:] == ("name",))
        return not any(path == () or path[0] in groups for path in hiding)


def load(tree: Tree, paths: Sequence[str], problems: list[Problem], pins: Mapping[str, str] | None = None) -> Spec:
    """The merged files; mistakes go to `problems`. Without `pins`, images stay as they are named."""
    return load_known(tree, paths, problems, pins)[0]


def load_known(
    tree: Tree,
    paths: Sequence[str],
    problems: list[Problem],
    pins: Mapping[str, str] | None = None,
    *,
    alone: bool = True,
) -> tuple[Spec, bool]:
    """The merged files, and whether every container of theirs could be read; mistakes go to `problems`. `alone`: there
    are no others beside them."""
    parts = [part for path in paths if (part := _read(tree, path, problems, pins)) is not None]
    whole = len(parts) == len(paths)
    problems.extend(_not_unique(parts, ("services", "volumes")))
    known = whole and alone and all(part.knows("volumes") for part in parts)
    sure = {part.document.file for part in parts if part.knows("volumes")}
    problems.extend(_wrong_volumes(parts, None if known else lambda name: in_unread_specs(tree, sure, name)))
    spec = Spec(kernel="", cmdline="")
    for part in parts:
        spec = merge(spec, part.spec)
    return spec, whole and all(part.knows(*GROUPS) for part in parts)


def merge(first: Spec, second: Spec) -> Spec:
    """Two specs as LinuxKit merges two files: lists are appended, of the kernel the later value counts."""
    kernel = ("kernel", "cmdline", "kernel_binary", "kernel_tar", "kernel_ucode")
    lists = ("init", *GROUPS, "volumes", "files")
    later = {name: getattr(second, name) or getattr(first, name) for name in kernel}
    return replace(first, **later, **{name: getattr(first, name) + getattr(second, name) for name in lists})


def _read(tree: Tree, path: str, problems: list[Problem], pins: Mapping[str, str] | None) -> _Part | None:
    try:
        data = tree.read(path)
    except KeyError:
        hint = did_you_mean(path, lambda: [name for name in tree.entries() if name.endswith((".yml", ".yaml"))])
        problems.append(Problem(path, 1, 0, "there is no such file", hint))
        return None
    document = read_yaml(data, path, problems)
    if document is None:
        return None
    part = partly(document, linuxkit.Moby, problems)
    return _Part(part.document, _Reader(tree, part.document, problems, pins).spec(part.content), part.dropped)


class _Reader:
    """Turns one validated file into a `Spec`: package paths and sources are resolved against the tree."""

    def __init__(self, tree: Tree, document: Document, problems: list[Problem], pins: Mapping[str, str] | None) -> None:
        self._tree, self._document, self._problems, self._pins = tree, document, problems, pins

    def spec(self, moby: linuxkit.Moby) -> Spec:
        kernel = moby.kernel or linuxkit.Kernel()
        self._problems += path_twice(self._document, [file.path for file in moby.files or ()])
        files = (self._file(file, ("files", index)) for index, file in enumerate(moby.files or ()))
        return Spec(
            kernel=self._image(kernel.image or "", ("kernel", "image")),
            cmdline=kernel.cmdline or "",
            kernel_binary=kernel.binary or "",
            kernel_tar="none" if kernel.tar == "" else kernel.tar or "",
            kernel_ucode=kernel.ucode or "",
            init=tuple(self._image(name, ("init", index)) for index, name in enumerate(moby.init or ()) if name),
            onboot=self._containers(moby.onboot, "onboot"),
            onshutdown=self._containers(moby.onshutdown, "onshutdown"),
            services=self._containers(moby.services, "services"),
            volumes=tuple(self._volume(volume, index) for index, volume in enumerate(moby.volumes or ())),
            files=tuple(file for file in files if file),
        )

    def _containers(self, containers: tuple[linuxkit.Container, ...] | None, group: str) -> tuple[Container, ...]:
        entries = []
        for index, container in enumerate(containers or ()):
            settings = linuxkit.dump(container)
            name, image = settings.pop("name"), settings.pop("image")
            entries.append(Container(name, self._image(image, (group, index, "image")), settings))
        return tuple(entries)

    def _volume(self, volume: linuxkit.Volume, index: int) -> Json:
        entry = linuxkit.dump(volume)
        image = {"image": self._image(volume.image, ("volumes", index, "image"))} if volume.image is not None else {}
        return entry | image

    def _image(self, name: str, place: Path) -> str:
        if not name.startswith(PACKAGE):
            return self._elsewhere(name, place)
        folder = posixpath.dirname(self._document.file)
        path = posixpath.normpath(posixpath.join(folder, name.removeprefix(PACKAGE)))
        try:
            self._tree.read(f"{path}/build.yml")
        except KeyError:
            hint = did_you_mean(name, lambda: self._packages(folder or "."))
            self._note(place, f"there is no package in {path}", hint)
        return PACKAGE + path

    def _elsewhere(self, name: str, place: Path) -> str:
        """An image that no package makes."""
        if self._pins is None or not name:
            return name
        pinned = boot.pinned(name, self._pins)
        if not pinned:
            self._note(place, *boot.mistake(name))
        return pinned

    def _packages(self, start: str) -> list[str]:
        others = sorted({posixpath.dirname(n) for n in self._tree.entries() if n.endswith("/build.yml")})
        return [PACKAGE + posixpath.relpath(other, start) for other in others]

    def _file(self, file: linuxkit.File, place: Path) -> Json | None:
        entry = linuxkit.dump(file)
        optional, source = entry.pop("optional", False), entry.pop("source", None)
        if source is None:
            return entry
        path = posixpath.normpath(source)
        try:
            made = once(self._tree, ("contents", path), lambda: contents(self._tree.read(path)))
        except KeyError:
            if not optional:
                hint = did_you_mean(path, self._tree.entries()) or "add it to the repository"
                self._note((*place, "source"), f"there is no file {path}", hint)
            return None
        message, hint = source_mistake(self._tree, path, str(made.get("contents", ""))[: MAX_POINTER + 1].encode())
        if message:
            self._note((*place, "source"), message, hint)
        mark, size = self._document.mark(place), self._tree.entries()[path].size
        spend(size, self._document.file, mark[0], once=(self._document.file, mark))
        return entry | made

    def _note(self, place: Path, message: str, hint: str) -> None:
        self._problems.append(self._document.problem(place, message, hint))


def contents(data: bytes) -> Json:
    """The bytes of a file as a `files:` entry has them."""
    try:
        return {"contents": data.decode()}
    except UnicodeDecodeError:
        return {"contentsBase64": base64.b64encode(data).decode()}


def bytes_of(file: Json) -> bytes:
    """The bytes of a `files:` entry that `contents` made."""
    return base64.b64decode(file["contentsBase64"]) if "contentsBase64" in file else str(file["contents"]).encode()


def _not_unique(parts: Sequence[_Part], groups: Sequence[str]) -> Iterator[Problem]:
    for group in groups:
        first: dict[str, str] = {}
        for part in parts:
            for index, name in enumerate(_names(part.spec, group)):
                place = (group, index, "name")
                if name in first and part.document.mark(place[:2]) not in part.document.added:
                    hint = f"the first is in {first[name]}; rename or remove one"
                    yield part.document.problem(place, f"{group} holds `{name}` twice", hint)
                elif name not in first:
                    first[name] = f"{part.document.file}:{part.document.mark(place)[0]}"


def _names(spec: Spec, group: str) -> list[str]:
    return [member.name if isinstance(member, Container) else member["name"] for member in getattr(spec, group)]


def _wrong_volumes(parts: Sequence[_Part], hidden: Callable[[str], bool] | None) -> Iterator[Problem]:
    """Binds to volumes that are not there, or that would write to a read-only one. `hidden`: where others may be."""
    volumes = {volume["name"]: volume for part in parts for volume in part.spec.volumes}
    for part in parts:
        for group in GROUPS:
            for index, container in enumerate(getattr(part.spec, group)):
                for place, source, options in _binds(container.settings):
                    where = (group, index, *place)
                    if source not in volumes and hidden and hidden(source):
                        continue
                    if source not in volumes:
                        hint = did_you_mean(source, list(volumes)) or "add it to `volumes:`, or write a path"
                        yield part.document.problem(where, f"there is no volume `{source}`", hint)
                    if (
                        source in volumes
                        and volumes[source].get("readonly")
                        and ("ro" not in options or "rw" in options)
                    ):
                        hint = "add the option `ro`, or take `readonly` from the volume"
                        yield part.document.problem(where, f"the volume `{source}` is read-only", hint)


def _binds(settings: Json) -> Iterator[tuple[Path, str, Sequence[str]]]:
    """Every bind to a volume: its place in the container, the volume's name, the options."""
    for field in ("binds", "binds.add"):
        for index, text in enumerate(settings.get(field) or ()):
            source, _, *options = text.split(":")
            if not source.startswith("/"):
                yield (field, index), source, options[0].split(",") if options else ()
    for index, mount in enumerate(settings.get("mounts") or ()):
        source = mount.get("source") or ""
        if mount.get("type") == "bind" and not source.startswith("/"):
            yield ("mounts", index), source, mount.get("options") or ()
