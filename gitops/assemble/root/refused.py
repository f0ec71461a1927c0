"""Values of a container that LinuxKit's format takes, and that init, runc or the kernel refuse at the box. Pure.

In: the settings of one container, those of its image's label below its own. Out: the key, what is wrong, and the fix.
Rules: each was tried with runc 1.1 (`runc run`), or stands in its source for a cgroup of version 2, which boxes have;
what depends on the box's hardware, or on what is in an image, is not judged.

    [*refused({"hostname": "ntp"})]    # [("hostname", "a name of its own ..", "add `uts: new`")]
"""

import re
from collections.abc import Iterable, Iterator

from gitops.assemble.root.around import around, texts
from gitops.assemble.root.limited import limited
from gitops.assemble.root.options import unknown
from gitops.fleet.documents.explain import did_you_mean
from gitops.model import Json

Refused = tuple[str, str, str]
MAX_ID = 2**31 - 1
"""Users and groups of runc (libcontainer/user)."""
MAX_HOST_NAME = 64
"""Bytes: __NEW_UTS_LEN of the kernel."""
PROPAGATIONS = tuple(f"{rec}{word}" for word in ("private", "shared", "slave", "unbindable") for rec in ("", "r"))
IN_PROC = ("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev")
"""Files of /proc that something may be mounted on (runc, libcontainer/rootfs_linux.go)."""
OF_IPC = re.compile(r"kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+")
OUTSIDE = ("host", "root")


def refused(settings: Json) -> Iterator[Refused]:
    """In no order that means anything."""
    yield from _process(settings)
    yield from _namespaces(settings)
    yield from _sysctls(settings)
    yield from _mounts(settings)
    yield from _devices(settings)
    yield from limited(settings.get("resources") or {})
    yield from around(settings.get("runtime") or {})
    if (word := settings.get("rootfsPropagation")) and word not in PROPAGATIONS:
        yield "rootfsPropagation", f"`{word}` is no propagation", f"write one of {', '.join(PROPAGATIONS)}"


def _process(settings: Json) -> Iterator[Refused]:
    words = [*(settings.get("command") or ())]
    if words and not words[0]:
        yield "command", "its first word is empty, so no program is named", "name a program"
    for text in settings.get("env") or ():
        if not text.partition("=")[0] or "=" not in text:
            yield "env", f"`{text[:80]}` is no variable", "write NAME=VALUE"
    yield from _bounded(settings)
    for text in settings.get("rlimits") or ():
        if why := _rlimit(text):
            yield "rlimits", f"{text[:80]}: {why}", "write NAME,SOFT,HARD with numbers, or unlimited"
    timeout = (settings.get("annotations") or {}).get("org.toweros.timeout", "1")
    if not re.fullmatch("[1-9][0-9]{0,8}", timeout):
        yield "annotations", f"`org.toweros.timeout: {timeout[:40]}` is no time", 'write seconds: "300"'


def _bounded(settings: Json) -> Iterator[Refused]:
    """Texts that the kernel reads to their end, numbers that runc has room for."""
    for key in ("command", "env", "cwd", "hostname"):
        if any("\0" in text for text in texts(settings.get(key))):
            yield key, "a zero byte ends every text at the kernel", "take it out"
    for key in ("uid", "gid", "additionalGids"):
        for value in texts(settings.get(key)):
            if value.isdecimal() and int(value[:20]) > MAX_ID:
                yield key, f"{value[:20]} is no user or group: the last is {MAX_ID}", "write a smaller number"


def _rlimit(text: str) -> str:
    _, *limits = (part.strip().lower() for part in text.split(","))
    if not all(re.fullmatch("unlimited|[0-9]{1,20}", limit) for limit in limits):
        return "a limit is a number, or unlimited"
    values = [2**64 - 1 if limit == "unlimited" else int(limit) for limit in limits]
    if max(values) >= 2**64:
        return f"{max(values)} is more than a limit holds"
    return "the first number is above the second" if values[0] > values[-1] else ""


def _namespaces(settings: Json) -> Iterator[Refused]:
    for key in ("ipc", "uts", "pid", "userns"):
        if settings.get(key) == "none":
            yield key, "`none` is a word of `net` alone", "write host, new, or an absolute path"
    if settings.get("userns") == "new":
        yield "userns", "a user namespace of its own has no users: LinuxKit's format maps none", "leave `userns` out"
    name = settings.get("hostname") or ""
    if name and settings.get("uts", "root") in OUTSIDE:
        yield "hostname", "a name of its own needs a namespace of its own", "add `uts: new`"
    if len(name.encode()) > MAX_HOST_NAME:
        yield "hostname", f"a name has at most {MAX_HOST_NAME} bytes", "write a shorter one"


def _sysctls(settings: Json) -> Iterator[Refused]:
    """What no namespace has of its own, all of the box would have: sysctl of `onboot` sets that."""
    own = {key for key in ("net", "ipc", "uts") if (settings.get(key) or "root") not in OUTSIDE}
    for name in settings.get("sysctl") or {}:
        dotted = name.replace("/", ".")
        if dotted == "kernel.hostname":
            yield "sysctl", f"`{name}` is what `hostname` says", "write `hostname:` and `uts: new`"
            continue
        needs = "net" if dotted.startswith("net.") else "ipc" if OF_IPC.fullmatch(dotted) else ""
        needs = "uts" if dotted == "kernel.domainname" else needs
        if not needs:
            hint = "set it for the box: a file in etc/sysctl.d and pkg/sysctl in `onboot`"
            yield "sysctl", f"`{name[:80]}` is the whole box's: no namespace has it", hint
        elif needs not in own:
            yield "sysctl", f"`{name[:80]}` needs a namespace of its own", f"add `{needs}: new`"


def _mounts(settings: Json) -> Iterator[Refused]:
    for key in ("binds", "binds.add", "tmpfs"):
        for text in settings.get(key) or ():
            parts = text.split(":")
            yield from _destination(key, (parts[1:] or [""])[0] if key != "tmpfs" else parts[0], parts[0])
            kind, options = ("tmpfs", parts[1:]) if key == "tmpfs" else ("bind", parts[2:])
            yield from _options(key, kind, [each for text in options for each in text.split(",")])
    for mount in settings.get("mounts") or ():
        destination = mount.get("destination")
        if destination:
            yield from _destination("mounts", destination, mount.get("source") or "")
        if mount.get("type") == "bind" and not {"bind", "rbind"} & set(mount.get("options") or ()):
            yield "mounts", f"{destination}: a bind needs the option too", "add `options: [rbind]`"
        yield from _options("mounts", mount.get("type") or "", mount.get("options") or ())


def _options(key: str, kind: str, options: Iterable[str]) -> Iterator[Refused]:
    for each in unknown(kind, options):
        hint = did_you_mean(each, ("ro", "rbind", "rshared", "nosuid", "nodev", "noexec", "size=10m", "mode=1777"))
        hint = "write ro" if each in ("readonly", "read-only") else hint or "take it out"
        yield key, f"`{each[:40]}` is no option of a {kind}", hint


def _destination(key: str, path: str, source: str) -> Iterator[Refused]:
    if not path.startswith("/"):
        if key != "mounts":  # LinuxKit's own example has one, and runc takes it
            yield key, f"`{path[:80]}` is no absolute path", f"write /{path[:80]}"
        return
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        yield key, "nothing can be mounted on the root itself", "name a folder below it"
    elif parts[0] == "proc" and parts[1:] and "/".join(parts[1:]) not in IN_PROC:
        yield key, f"{path[:80]} is inside of /proc, where nothing is mounted", "name another place"
    elif parts == ["proc"] and key != "mounts" and source != "/proc":
        yield key, f"{source[:80]} is no proc file system, and /proc is one", "name another place"


def _devices(settings: Json) -> Iterator[Refused]:
    for device in settings.get("devices") or ():
        kind, path = device["type"], device["path"]
        if kind in ("p", "u"):
            hint = "write c" if kind == "u" else "make it by mkfifo in the container"
            yield "devices", f"{path[:80]}: there are no rules for devices of type {kind}", hint
        elif path == "all":
            continue
        elif kind == "a":
            yield "devices", f"{path[:80]}: type a is all devices", "write `path: all`, or b or c"
        elif not path.startswith("/"):
            yield "devices", f"`{path[:80]}` is no absolute path", f"write /dev/{path[:80]}"
        elif any((device.get(key) or 0) < 0 for key in ("major", "minor")):
            yield "devices", f"{path[:80]}: a device has no number below 0", "write `path: all` for a whole class"
