"""LinuxKit's root tree: where every container, volume and file of a spec goes.

In: a `Spec` and its images' configs. Out: entries in the order in which LinuxKit writes them, with a `Root` where the
file system of an image belongs.

    containers/onboot/NNN-NAME containers/onshutdown/NNN-NAME containers/services/NAME
        config.json runtime.json    what runc and init do with it
        rootfs                      the root: the image itself, read-only, or an overlay that init mounts
        lower tmp                   of a writable container: the image, and where init puts a tmpfs
    containers/volumes/NAME         lower tmp merged, read-only or not

Containers of one image share its root: the first holds it, the others name its path. A layered release takes
`tree_layer` (everything but the images' roots) and mounts `container_mounts` over it.
"""

import base64
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from gitops.assemble.root import metadata
from gitops.assemble.root.runtime_spec import describe, number
from gitops.errors import AssembleError
from gitops.model import Container, Image, Json, Spec

TMPFS = "tmp"
"""Where init mounts the tmpfs that takes what a writable container or volume writes."""
FIRST_ID = 100
"""The number of the first container's name, as a user or group."""


@dataclass(frozen=True)
class TreeEntry:
    """One entry of a root tree. `type` is `dir`, `file` or `symlink`; `mode` holds permission bits alone."""

    path: str
    type: str
    mode: int
    uid: int = 0
    gid: int = 0
    link: str = ""
    data: bytes = b""


@dataclass(frozen=True)
class Root:
    """The file system of an image belongs below `path`; its parents and `path` itself come as entries before it."""

    path: str
    image: str


def layout(spec: Spec, images: Mapping[str, Image]) -> Iterator[TreeEntry | Root]:
    """The tree beside kernel and init, in LinuxKit's order: volumes, onboot, onshutdown, services, files.

    Raises:
        AssembleError: an image is missing, or says something that cannot be carried out.
    """
    for volume in spec.volumes:
        yield from _volume(volume)
    held: dict[str, str] = {}
    for prefix, container, config, runtime in _described(spec, images):
        yield from _container(prefix, container, config, runtime, held)
    yield from _files(spec, _numbers(spec))


def configs(spec: Spec, images: Mapping[str, Image]) -> Iterator[tuple[str, Container, Json]]:
    """Every container with its group (`services`) and its `config.json`. Raises as `layout`."""
    for prefix, container, config, _ in _described(spec, images):
        yield prefix.split("/")[1], container, config


def _described(spec: Spec, images: Mapping[str, Image]) -> Iterator[tuple[str, Container, Json, Json]]:
    """Where each container is, and what runc and init do with it."""
    ids = _numbers(spec)
    places = {volume["name"]: _volume_path(volume) for volume in spec.volumes}
    for prefix, container in _placed(spec):
        image = _image(images, container.image)
        yield prefix, container, *describe(container, image.config, volumes=places, ids=ids)


def _numbers(spec: Spec) -> dict[str, int]:
    """The numbers of the containers' names, as users and groups."""
    return {container.name: FIRST_ID + index for index, container in enumerate(spec.containers())}


def container_mounts(spec: Spec, images: Mapping[str, Image]) -> list[tuple[str, str, str]]:
    """(path below /containers, `rootfs` or `lower`, image) of every image root, in mount order."""
    roots = [item for item in layout(spec, images) if isinstance(item, Root)]
    places = [root.path.removeprefix("containers/").rpartition("/") for root in roots]
    return [(path, target, root.image) for root, (path, _, target) in zip(roots, places, strict=True)]


def tree_layer(spec: Spec, images: Mapping[str, Image]) -> bytes:
    """The tar of everything outside the images' roots: sorted, each path once, parents included, times 0.

    Parents that only `files:` needs are 0755: as part of an overlay they would otherwise close /etc to everybody
    but root, because LinuxKit derives their mode from the file's.
    """
    files = {entry["path"].strip("/") for entry in spec.files}
    entries: dict[str, TreeEntry] = {}
    for item in layout(spec, images):
        if isinstance(item, TreeEntry):
            implied = item.type == "dir" and item.path not in files
            entries[item.path] = TreeEntry(item.path, "dir", 0o755) if implied else item
    return tar_of(entries.values())


def file_layer(files: tuple[Json, ...]) -> bytes:
    """The tar of a box's own `files:` alone, by the rules of `tree_layer`."""
    return tree_layer(Spec(kernel="", cmdline="", files=files), {})


def tar_of(entries: Iterable[TreeEntry]) -> bytes:
    """A deterministic tar (POSIX.1-2001, times 0, no names of users) of entries, sorted by path."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in sorted(entries, key=lambda entry: PurePosixPath(entry.path).parts):
            archive.addfile(tar_info(entry), io.BytesIO(entry.data))
    return output.getvalue()


def tar_info(entry: TreeEntry) -> tarfile.TarInfo:
    """The header of an entry."""
    info = tarfile.TarInfo(entry.path)
    info.type = {"dir": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE}[entry.type]
    info.mode, info.uid, info.gid, info.linkname = entry.mode, entry.uid, entry.gid, entry.link
    info.size = len(entry.data)
    return info


def parents(path: str) -> Iterator[TreeEntry]:
    """The folders above `path`, and `path` as one."""
    parts = PurePosixPath(path).parts
    for count in range(1, len(parts) + 1):
        yield _folder("/".join(parts[:count]))


def _folder(path: str) -> TreeEntry:
    return TreeEntry(path, "dir", 0o755)


def _document(path: str, value: Json) -> TreeEntry:
    return TreeEntry(path, "file", 0o644, data=json.dumps(value, indent=2, ensure_ascii=False).encode())


def _image(images: Mapping[str, Image], name: str) -> Image:
    if name not in images:
        raise AssembleError(f"there is no image {name}", hint="build or pull it first")
    return images[name]


def _placed(spec: Spec) -> Iterator[tuple[str, Container]]:
    for group, containers in (("onboot", spec.onboot), ("onshutdown", spec.onshutdown)):
        for index, container in enumerate(containers):
            yield f"containers/{group}/{index:03}-{container.name}", container
    for container in spec.services:
        yield f"containers/services/{container.name}", container


def _container(
    prefix: str, container: Container, config: Json, runtime: Json, held: dict[str, str]
) -> Iterator[TreeEntry | Root]:
    readonly = config["root"].get("readonly", False)
    holder = held.get(container.image)
    root = holder or f"{prefix}/{'rootfs' if readonly else 'lower'}"
    yield from parents(prefix if holder else root)
    if not holder:
        held[container.image] = root
        yield Root(root, container.image)
    yield _document(f"{prefix}/config.json", config)
    if not readonly:
        yield _folder(f"{prefix}/{TMPFS}")
    if holder or not readonly:
        yield _folder(f"{prefix}/rootfs")
    mounts = _root_mounts(f"/{prefix}", f"/{root}", readonly) + runtime["mounts"]
    yield _document(f"{prefix}/runtime.json", runtime | {"mounts": mounts})


def _root_mounts(prefix: str, root: str, readonly: bool) -> list[Json]:
    """What init mounts first. Read-only: a bind, because runc wants a mount point; else an overlay over a tmpfs."""
    if readonly:
        return [{"source": root, "destination": f"{prefix}/rootfs", "options": ["bind"]}]
    tmp = f"{prefix}/{TMPFS}"
    options = [f"lowerdir={root}", f"upperdir={tmp}/upper", f"workdir={tmp}/work"]
    return [
        {"source": "tmpfs", "type": "tmpfs", "destination": tmp},
        # As LinuxKit writes it, so that the tmpfs is no shared mount.
        {"destination": tmp, "options": ["remount", "private"]},
        {"source": "overlay", "type": "overlay", "destination": f"{prefix}/rootfs", "options": options},
    ]


def _volume(volume: Json) -> Iterator[TreeEntry | Root]:
    prefix = f"containers/volumes/{volume['name']}"
    yield from parents(f"{prefix}/lower")
    if volume.get("image"):
        yield Root(f"{prefix}/lower", volume["image"])
    # A read-only one too (LinuxKit's pull request 4069): what binds it has to say `ro`.
    yield _folder(f"{prefix}/{TMPFS}")
    yield _folder(f"{prefix}/merged")


def _volume_path(volume: Json) -> str:
    return f"/containers/volumes/{volume['name']}/merged"


def _files(spec: Spec, ids: Mapping[str, int]) -> Iterator[TreeEntry]:
    """`files:` with the folders above them: a folder may be entered by whom the file's mode lets read it."""
    seen: set[str] = set()
    for file in spec.files:
        path = file["path"].strip("/")
        mode = int(file.get("mode") or ("0700" if file.get("directory") else "0600"), 8)
        uid, gid = number(file.get("uid"), ids), number(file.get("gid"), ids)
        for folder in parents(path):
            if folder.path != path and folder.path not in seen:
                seen.add(folder.path)
                yield TreeEntry(folder.path, "dir", mode | _enter(mode), uid, gid)
        seen.add(path)
        if file.get("directory"):
            yield TreeEntry(path, "dir", mode, uid, gid)
        elif file.get("symlink"):
            yield TreeEntry(path, "symlink", mode, uid, gid, link=file["symlink"])
        else:
            yield TreeEntry(path, "file", mode, uid, gid, data=_contents(spec, file))


def _enter(mode: int) -> int:
    return sum(bits & 0o111 for bits in (0o700, 0o070, 0o007) if mode & bits)


def _contents(spec: Spec, file: Json) -> bytes:
    if "contentsBase64" in file:
        return base64.b64decode(file["contentsBase64"])
    if file.get("metadata"):
        return metadata.text(spec, file["metadata"]).encode()
    return str(file.get("contents", "")).encode()
