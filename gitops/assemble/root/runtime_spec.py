"""The OCI runtime spec (`config.json`) and `runtime.json` of one container.

In: LinuxKit's fields for the container, its image's config (`Env`, `Cmd`, `Entrypoint`, `WorkingDir`, the label
`org.mobyproject.config`), the volumes, and the numbers of the containers' names. Out: two JSON documents.

Rules, from LinuxKit's docs/yaml.md and the OCI runtime spec: what the YAML says wins over the label, and the label
over the image's own config; `binds.add` and `capabilities.add` come on top; a later mount on one destination
replaces an earlier one; mounts are sorted by destination; a container has a mount namespace of its own, a pid
namespace unless told otherwise, and no other.

    config, runtime = describe(Container("ntp", image, {"readonly": True}), image.config, volumes={}, ids={"ntp": 100})
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from gitops.errors import AssembleError
from gitops.fleet.linuxkit.schema import MOUNT_POINTS, Settings, dump, expand_capabilities, parse_rlimit
from gitops.model import Container, Json

OCI_VERSION = "1.0.2"
"""All that LinuxKit's fields need; a runtime may refuse a version above its own."""
LABEL = "org.mobyproject.config"
NAMESPACES = {"net": "network", "ipc": "ipc", "uts": "uts", "pid": "pid", "userns": "user"}
"""LinuxKit's field -> the runtime spec's namespace type, in the order in which LinuxKit writes them."""

BIND_OPTIONS = ("rw", "rbind", "rshared")
BINDABLE_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def describe(
    container: Container, image: Json, *, volumes: Mapping[str, str], ids: Mapping[str, int]
) -> tuple[Json, Json]:
    """`config.json`, and `runtime.json` without the mounts of the root.

    `volumes`: a volume's name -> the path that a bind to it stands for. `ids`: a container's name -> its number.

    Raises:
        AssembleError: the label or a setting says something that the runtime spec has no word for.
    """
    settings = settings_of(container, image)
    try:
        return _config(settings, image, volumes, ids), _runtime(settings.get("runtime") or {})
    except ValueError as error:
        raise AssembleError(f"container {container.name}: {error}", hint=f"see {container.image}'s label") from error


def command_of(container: Container, image: Json) -> list[str]:
    """What the container runs, by its image's config; nothing: runc would refuse it.

    Raises:
        AssembleError: the image's label cannot be read.
    """
    return _command(settings_of(container, image), image)


def settings_of(container: Container, image: Json) -> Json:
    """The label's fields below the YAML's; inside `runtime` field by field too.

    Raises:
        AssembleError: the image's label cannot be read.
    """
    try:
        label = dump(Settings.model_validate_json((image.get("Labels") or {}).get(LABEL) or "{}"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{container.image}: the label {LABEL}: {place}: {first['msg']}"
        raise AssembleError(message, hint="correct `config:` in the image's build.yml") from error
    own = {key: value for key, value in container.settings.items() if value not in (None, "")}
    return label | own | {"runtime": (label.get("runtime") or {}) | (own.get("runtime") or {})}


def _config(settings: Json, image: Json, volumes: Mapping[str, str], ids: Mapping[str, int]) -> Json:
    listed, rules = _devices(settings.get("devices") or ())
    resources = dict(settings.get("resources") or {})
    if rules:
        resources["devices"] = [*(resources.get("devices") or ()), *rules]
    linux = {
        "sysctl": settings.get("sysctl"),
        "cgroupsPath": settings.get("cgroupsPath"),
        "namespaces": _namespaces(settings),
        "devices": listed,
        "rootfsPropagation": settings.get("rootfsPropagation"),
        "maskedPaths": settings.get("maskedPaths"),
        "readonlyPaths": settings.get("readonlyPaths"),
    }
    readonly = bool(settings.get("readonly"))
    config = {
        "process": _process(settings, image, ids),
        "root": {"path": "rootfs", "readonly": readonly} if readonly else {"path": "rootfs"},
        "hostname": settings.get("hostname"),
        "mounts": _mounts(settings, volumes),
        "annotations": settings.get("annotations"),
    }
    return {"ociVersion": OCI_VERSION, **_set(config), "linux": {**_set(linux), "resources": resources}}


def _process(settings: Json, image: Json, ids: Mapping[str, int]) -> Json:
    user = {
        "uid": number(settings.get("uid"), ids),
        "gid": number(settings.get("gid"), ids),
        "additionalGids": [number(gid, ids) for gid in settings.get("additionalGids") or ()],
    }
    process = {
        "args": _command(settings, image),
        "env": settings.get("env", image.get("Env")),
        "rlimits": [parse_rlimit(text) for text in settings.get("rlimits") or ()],
        "noNewPrivileges": settings.get("noNewPrivileges"),
    }
    result = {
        "user": {key: value for key, value in user.items() if value != []},
        "cwd": settings.get("cwd") or image.get("WorkingDir") or "/",
        "capabilities": _capabilities(settings),
        **_set(process),
    }
    score = settings.get("oomScoreAdj")
    return result if score is None else result | {"oomScoreAdj": score}


def _command(settings: Json, image: Json) -> list[str]:
    return list(settings.get("command", [*(image.get("Entrypoint") or ()), *(image.get("Cmd") or ())]) or ())


def _set(values: Json) -> Json:
    """The members that have a value."""
    return {key: value for key, value in values.items() if value}


def number(value: Any, ids: Mapping[str, int]) -> int:
    """A user or group: a number, or the name of a container.

    Raises:
        AssembleError: no container has that name.
    """
    if value is None:
        return 0
    if isinstance(value, int) or value.isdecimal():
        return int(value)
    if value not in ids:
        hint = "name a container of this box, or write a number"
        raise AssembleError(f"no container is named {value}, so it is no user or group", hint=hint)
    return ids[value]


def _capabilities(settings: Json) -> Json:
    lists = (settings.get(field) for field in ("capabilities", "capabilities.add"))
    effective = [name for names in lists for name in expand_capabilities(names)]
    ambient = expand_capabilities(settings.get("ambient"))
    bounding = sorted({*effective, *ambient})
    sets = {"bounding": bounding, "effective": effective, "inheritable": bounding, "permitted": bounding}
    return _set(sets | {"ambient": ambient})


def _namespaces(settings: Json) -> list[Json]:
    """`host` and `root` share init's, `new` (and `none` for the network) makes one, anything else joins a path."""
    result = []
    for field, kind in NAMESPACES.items():
        value = settings.get(field) or ("new" if field == "pid" else "root")
        if value not in ("host", "root"):
            new = value == "new" or (field == "net" and value == "none")
            result.append({"type": kind} if new else {"type": kind, "path": value})
    return [*result, {"type": "mount"}]


def _devices(devices: Iterable[Json]) -> tuple[list[Json], list[Json]]:
    """Device nodes to make, and the cgroup's rules; the path `all` makes no node."""
    nodes, rules = [], []
    for device in devices:
        place = {"type": device["type"]}
        if device["path"] != "all":
            place |= {"major": device.get("major", 0), "minor": device.get("minor", 0)}
            mode = {"fileMode": int(device["mode"], 8)} if device.get("mode") else {}
            nodes.append({"path": device["path"], **place, **mode})
        rules.append({"allow": True, **place, "access": "rwm"})
    return nodes, rules


def _mounts(settings: Json, volumes: Mapping[str, str]) -> list[Json]:
    read_only = ("ro",) if settings.get("readonly") else ()
    mounts = [
        _mount("/proc", "proc", "proc", ("nosuid", "nodev", "noexec", "relatime")),
        _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k", *read_only)),
        _mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")),
        _mount("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", *read_only)),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")),
    ]
    mounts += [_tmpfs(text) for text in settings.get("tmpfs") or ()]
    binds = [*(settings.get("binds") or ()), *(settings.get("binds.add") or ())]
    mounts += [_bind(text, volumes) for text in binds]
    mounts += [_other(mount, volumes) for mount in settings.get("mounts") or ()]
    by_destination = {mount["destination"]: mount for mount in mounts}
    return [by_destination[destination] for destination in sorted(by_destination)]


def _mount(destination: str, kind: str, source: str, options: Iterable[str]) -> Json:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _tmpfs(text: str) -> Json:
    destination, _, options = text.partition(":")
    return _mount(destination, "tmpfs", "tmpfs", options.split(",") if options else ())


def _bind(text: str, volumes: Mapping[str, str]) -> Json:
    source, destination, *options = text.split(":")
    chosen = [*options[0].split(","), "rbind"] if options else BIND_OPTIONS
    return _mount(destination, "bind", _place(source, volumes), chosen)


def _place(source: str, volumes: Mapping[str, str]) -> str:
    if not source.startswith("/") and source not in volumes:
        raise ValueError(f"there is no volume {source}")
    return volumes.get(source, source)


def _other(mount: Json, volumes: Mapping[str, str]) -> Json:
    source, destination, kind = (mount.get(key) or "" for key in ("source", "destination", "type"))
    kind = kind or (source if source in MOUNT_POINTS else "") or ("tmpfs" if destination == "/dev" else "")
    destination = destination or MOUNT_POINTS.get(kind, "")
    if not kind or not destination:
        raise ValueError(f"a mount of {source or kind or destination} needs a type and a destination")
    source = _place(source, volumes) if kind == "bind" else source
    return _mount(destination, kind, source or kind, mount.get("options") or ())


def _runtime(settings: Json) -> Json:
    bound = settings.get("bindNS") or {}
    lists = {key: settings.get(key) or [] for key in ("cgroups", "mounts", "mkdir", "interfaces")}
    names = {key: bound.get(key) or "" for key in BINDABLE_NAMESPACES}
    return {**lists, "bindNS": names, "namespace": settings.get("namespace") or ""}
