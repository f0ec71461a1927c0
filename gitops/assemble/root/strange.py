"""What LinuxKit's format takes, and what is nothing on a box: the assembler or runc refuses it. Pure.

In: a box. Out: its mistakes, each with the place as `origins` names it. Rules: a user or group is a number or the name
of a container; a namespace is one of LinuxKit's words or an absolute path, a working folder is absolute; a box has a
kernel, and an init that begins; where one file is, no other lies below it; what else init and runc refuse of a
container is in `refused`; arguments of the kernel have one line's length, and none is the addon's.

    [*strange(box)]     # [("services.ntp.uid", "no container is named nobody, so it is no user or group", ..)]
"""

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gitops.assemble.boot.uki import MAX_CMDLINE
from gitops.assemble.root.commands import GROUPS, ConfigOf
from gitops.assemble.root.refused import refused
from gitops.assemble.root.runtime_spec import NAMESPACES, number, settings_of
from gitops.errors import AssembleError
from gitops.model import Box, Json, Spec

WORDS = ("host", "root", "new", "none")
Told = tuple[str, str, str]


def strange(box: Box, config_of: ConfigOf = lambda _: None) -> Iterator[Told]:
    """What is wrong, and the fix. `config_of`: what is known of images, whose labels count below a spec's words.

    Raises:
        AssembleError: an image's label cannot be read.
    """
    spec = box.spec
    ids = dict.fromkeys((container.name for container in spec.containers()), 0)
    yield from _core(spec)
    for group in GROUPS:
        for container in getattr(spec, group):
            settings = settings_of(container, config_of(container.image) or {})
            if group != "services" and (settings.get("runtime") or {}).get("namespace"):
                hint = "take it out, or make it a service"
                yield f"{group}.{container.name}.runtime", "namespace: containerd runs services alone", hint
            for key, message, hint in _of(settings, ids):
                yield f"{group}.{container.name}.{key}", message, hint
    yield from _arguments(spec.cmdline)
    yield from _checks(box)
    yield from _owners(spec, ids)
    yield from _files([str(file["path"]).strip("/") for file in spec.files if not file.get("directory")])


def _core(spec: Spec) -> Iterator[Told]:
    if not spec.kernel:
        yield "kernel", "no boot spec names a kernel", "add `kernel:`, or a boot spec that has it"
    if spec.kernel_tar == "none":
        hint = "take `tar` out: a box finds its disk by the kernel's modules"
        yield "kernel", "`tar: none` is for the formats of `toweros assemble`", hint
    if not spec.init:
        yield "init", "no boot spec names an init", "add `init:`, or a boot spec that has it"


def _owners(spec: Spec, ids: dict[str, int]) -> Iterator[Told]:
    for file in spec.files:
        for key in ("uid", "gid"):
            for _, message, hint in _user(key, file.get(key), ids):
                yield f"files.{str(file['path']).strip('/')}", f"{key}: {message}", hint


def _arguments(cmdline: str) -> Iterator[Told]:
    words = cmdline.split()
    if ours := next((word for word in words if word.startswith("toweros.")), ""):
        yield "cmdline", f"`{ours[:80]}` belongs to the signed addon", "take it out"
    if not cmdline.isascii() or len(" ".join(words)) > MAX_CMDLINE:
        yield "cmdline", f"the kernel takes plain ASCII, here {MAX_CMDLINE} bytes of it", "make it shorter"


def _checks(box: Box) -> Iterator[Told]:
    """Addresses that the agent could ask nobody at: each such check would fail for ever."""
    for check in box.health.checks:
        if check.type != "http":
            continue
        try:
            place = urlsplit(check.target)
            good = bool(place.hostname) and place.port != 0
        except ValueError:
            good = False
        if not good:
            message = f"`{check.target[:80]}` names no host, or a port that is none"
            yield f"health.checks.{check.name}", message, "write http://127.0.0.1:PORT/PATH"


def _of(settings: Json, ids: dict[str, int]) -> Iterator[Told]:
    for key in ("uid", "gid"):
        yield from _user(key, settings.get(key), ids)
    for each in settings.get("additionalGids") or ():
        yield from _user("additionalGids", each, ids)
    for key in NAMESPACES:
        value = settings.get(key)
        if value and value not in WORDS and not str(value).startswith("/"):
            yield key, f"`{value}` is no namespace", "write host, new, none (of `net`), or an absolute path"
    if (cwd := settings.get("cwd")) and not str(cwd).startswith("/"):
        yield "cwd", f"`{cwd}` is no absolute path", f"write /{cwd}"
    yield from refused(settings)


def _user(key: str, value: Any, ids: dict[str, int]) -> Iterator[Told]:
    try:
        number(value, ids)
    except AssembleError as error:
        yield key, error.message, error.hint


def _files(paths: list[str]) -> Iterator[Told]:
    there = set(paths)
    for path in dict.fromkeys(paths):
        above = posixpath.dirname(path)
        while above:
            if above in there:
                yield f"files.{path}", f"/{above} is a file or link, so nothing lies below it", "rename one of them"
                break
            above = posixpath.dirname(above)
