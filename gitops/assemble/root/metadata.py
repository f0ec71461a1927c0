"""The spec as LinuxKit YAML again, for `files:` with `metadata: yaml` or `json`: what a running system says it is.

In: a `Spec`. Out: text as LinuxKit writes it: every section, images by their full reference, mounts with all members.
What files hold is left out: it may be secret, and whoever reads the metadata need not be allowed to read the file.
"""

import json
from collections.abc import Sequence

import yaml

from gitops.model import Container, Json, Spec

STRING = "tag:yaml.org,2002:str"
HIDDEN = frozenset(("contents", "contentsBase64"))


def text(spec: Spec, form: str) -> str:
    """The spec in the form `yaml` or `json`."""
    document = _document(spec)
    if form == "json":
        return json.dumps(document)
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=2**16)


def full_reference(image: str) -> str:
    """`busybox` -> `docker.io/library/busybox:latest`: Docker's rules for short names; `@pkg:` paths stay."""
    if image.startswith("@"):
        return image
    host, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not set(host) & set(".:") and host != "localhost":
        image = f"docker.io/{image}"
    return image if set(image.rpartition("/")[2]) & set(":@") else f"{image}:latest"


def _document(spec: Spec) -> Json:
    kernel = {
        "image": full_reference(spec.kernel) if spec.kernel else "",
        "cmdline": spec.cmdline,
        "binary": spec.kernel_binary,
        "tar": spec.kernel_tar,
        "ucode": spec.kernel_ucode,
    }
    return {
        "kernel": {key: value for key, value in kernel.items() if value},
        "init": [full_reference(image) for image in spec.init],
        "onboot": _containers(spec.onboot),
        "onshutdown": _containers(spec.onshutdown),
        "services": _containers(spec.services),
        "files": [_file(file) for file in spec.files],
        "volumes": list(spec.volumes),
    }


def _containers(containers: Sequence[Container]) -> list[Json]:
    return [{"name": c.name, "image": full_reference(c.image), **_settings(c.settings)} for c in containers]


def _settings(settings: Json) -> Json:
    if "mounts" in settings:
        settings = settings | {"mounts": [_mount(mount) for mount in settings["mounts"]]}
    if "runtime" in settings:
        settings = settings | {"runtime": _settings(settings["runtime"])}
    return settings


def _mount(mount: Json) -> Json:
    order = {"destination": "", "type": "", "source": "", "options": [], "uidmappings": [], "gidmappings": []}
    return {key: mount.get(key, default) for key, default in order.items()}


def _file(file: Json) -> Json:
    order: Json = {"path": "", "directory": False, "symlink": None, "metadata": None, "optional": False}
    members = {key: file.get(key, default) for key, default in order.items()} | file
    return {key: value for key, value in members.items() if value is not None and key not in HIDDEN}


class _Dumper(yaml.SafeDumper):
    """Strings that would be read as something else are quoted with ", not '; no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    plain = dumper.resolve(yaml.ScalarNode, value, (True, False)) == STRING  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(STRING, value, style=None if plain else '"')


_Dumper.add_representer(str, _string)
