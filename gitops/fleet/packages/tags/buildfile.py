"""A build.yml as LinuxKit itself reads it, for its tag alone (pkglib of 2026, by Go's yaml.v3 with KnownFields).

In: a file's bytes. Out: what the tag stands on. Rules: an unquoted `1.0` or `0440` is a text where a text is due, a
key without a value is as good as none, anchors and merge keys count; a key that LinuxKit does not know, a key that is
there twice or a value of another kind is a mistake with its line. What we do not build may stand here all the same.

    BuildFile.parse(b"image: sshd\\ntag: v1.0\\n", "pkg/sshd/build.yml").tag      # "v1.0"
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from gitops.errors import FleetError, Problem
from gitops.fleet.packages.tags.template import DEFAULT

ORG = "linuxkit"
MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_MERGES = 1000
MERGE = "tag:yaml.org,2002:merge"
"""An unquoted `<<`."""
_TEXTS = "cwd net pid ipc uts userns hostname rootfsPropagation cgroupsPath"
_LISTS = "capabilities capabilities.add ambient binds binds.add tmpfs command env maskedPaths readonlyPaths rlimits"
_REST = "mounts devices uid gid additionalGids oomScoreAdj resources sysctl uidMappings gidMappings annotations runtime"
_CONFIG = {
    **dict.fromkeys(_TEXTS.split(), "string"),
    **dict.fromkeys(_LISTS.split(), "strings"),
    **dict.fromkeys(("readonly", "noNewPrivileges"), "bool"),
    **dict.fromkeys(_REST.split(), "any"),
}
_IMAGES = {"target-dir": "string", "target": "string", "from-file": "string", "list": "strings"}
_KEYS: Mapping[str, Any] = {
    **dict.fromkeys(("image", "org", "tag", "dockerfile", "gitrepo"), "string"),
    **dict.fromkeys(("arches", "extra-sources", "buildArgs"), "strings"),
    **dict.fromkeys(("network", "disable-cache"), "bool"),
    "config": _CONFIG,
    "depends": {"docker-images": _IMAGES},
}
"""pkgInfo of src/cmd/linuxkit/pkglib/pkglib.go, ImageConfig of moby/config.go."""
OLD_TRUTH = frozenset(("y", "yes", "on", "n", "no", "off"))
"""Words of YAML 1.1, which Go's yaml.v3 takes for a boolean, in quotes too."""
TRUTH = OLD_TRUTH | {"true", "false"}


@dataclass(frozen=True)
class BuildFile:
    """See above. `extra_sources`: as written."""

    file: str
    image: str = ""
    org: str = ORG
    tag: str = DEFAULT
    extra_sources: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, file: str) -> "BuildFile":
        """Raises:
        FleetError: LinuxKit would not read it; with the line.
        """
        node = _document(data, file)
        reader = _Reader(file)
        values = reader.mapping(node, _KEYS, "") if node else {}
        reader.images(values.get("depends", {}).get("docker-images", {}))
        if reader.problems:
            raise FleetError(reader.problems)
        if not values.get("image"):
            raise FleetError([Problem(file, 1, 1, "there is no `image`", "write `image: NAME`")])
        return cls(
            file=file,
            image=values["image"],
            org=values.get("org", ORG),
            tag=values.get("tag", DEFAULT) or DEFAULT,
            extra_sources=tuple(values.get("extra-sources", ())),
            lines=reader.lines,
        )

    def mistake(self, key: str, message: str, hint: str = "") -> FleetError:
        """A mistake at a key."""
        return FleetError([Problem(self.file, self.lines.get(key, 1), 1, message, hint)])


def _document(data: bytes, file: str) -> yaml.Node | None:
    """The first document; None: `null`."""
    if len(data) > MAX_BYTES:
        raise FleetError([Problem(file, 1, 1, f"{len(data)} bytes are too many", f"use at most {MAX_BYTES}")])
    loader = yaml.CSafeLoader(data)
    try:
        if not loader.check_node():
            raise FleetError([Problem(file, 1, 1, "the file is empty", "write `image: NAME`")])
        node = loader.get_node()
    except RecursionError as error:
        raise FleetError([Problem(file, 1, 1, "the file is too deep", "write it flat")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        why = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise FleetError([Problem(file, line, 1, f"not YAML: {why}", "check indentation and quotes")]) from error
    finally:
        loader.dispose()
    return node if node and not _is_null(node) else None


class _Reader:
    """Values by LinuxKit's own types."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._merges = 0
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}

    def mapping(self, node: yaml.Node, keys: Mapping[str, Any], place: str, depth: int = 0) -> dict[str, Any]:
        """The keys that say something."""
        if not isinstance(node, yaml.MappingNode) or depth > MAX_DEPTH:
            self._note(node, f"`{place or 'the file'}` holds no keys and values", "write `key: value`")
            return {}
        merged: dict[str, Any] = {}
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if key.tag == MERGE:
                merged |= self._merged(value, keys, place, depth)
                continue
            if name in seen:
                self._note(key, f"`{name}` is there twice", f"the first is in line {seen[name]}; keep one")
            elif name not in keys:
                hint = f"take it out, or write one of {', '.join(sorted(keys))}"
                self._note(key, f"LinuxKit knows no `{name}` here", hint)
            elif not _is_null(value):
                self.lines[name] = value.start_mark.line + 1
                values[name] = self._value(value, keys[name], name, depth)
            seen[name] = key.start_mark.line + 1
        return {**merged, **values}

    def images(self, said: Mapping[str, Any]) -> None:
        """`depends: docker-images:`, whose members exclude each other, and lead into the package's folder."""
        for one, other in (("target", "target-dir"), ("from-file", "list")):
            if said.get(one) and said.get(other):
                self._problem(one, f"`{one}` and `{other}` exclude each other", "keep one of them")
        for name in ("target", "target-dir", "from-file"):
            parts: list[str] = []
            path = str(said.get(name) or "")
            for part in path.split("/"):
                parts = parts[:-1] if part == ".." and parts and parts[-1] != ".." else [*parts, part]
            parts = [part for part in parts if part not in ("", ".")]
            if path and (path.startswith("/") or not parts or parts[0] == ".."):
                self._problem(name, f"`{path}` is not inside of the package's folder", "write a path below it")
        for image in said.get("list", ()):
            if "@sha256:" not in image:
                self._problem("list", f"{image} has no digest", "write NAME:TAG@sha256:DIGEST")

    def _merged(self, node: yaml.Node, keys: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values: dict[str, Any] = {}
        before, self._merges = self._merges, self._merges + len(parts)
        if self._merges > MAX_MERGES:  # each may hold all of the others
            if before <= MAX_MERGES:
                self._note(node, f"more than {MAX_MERGES} parts are merged", "write the keys themselves")
            return values
        for part in reversed(parts):
            values |= self.mapping(part, keys, place, depth + 1)
        return values

    def _value(self, node: yaml.Node, kind: Any, name: str, depth: int) -> Any:
        if isinstance(kind, Mapping):
            return self.mapping(node, kind, name, depth + 1)
        if kind == "string":
            if isinstance(node, yaml.ScalarNode):
                return self._text(node)
        elif kind == "bool":
            if isinstance(node, yaml.ScalarNode) and str(node.value).lower() in (OLD_TRUTH if node.style else TRUTH):
                return None
        elif kind == "strings":
            if isinstance(node, yaml.SequenceNode) and all(isinstance(each, yaml.ScalarNode) for each in node.value):
                return [self._text(each) for each in node.value if not _is_null(each)]
        else:
            return None
        wanted = {"string": "a text", "bool": "true or false", "strings": "a list of texts"}[kind]
        self._note(node, f"`{name}` is {wanted}", "write it so")
        return None

    def _text(self, node: yaml.ScalarNode) -> str:
        text = str(node.value)
        if node.tag != "tag:yaml.org,2002:binary":
            return text
        try:
            return base64.b64decode(text).decode(errors="surrogateescape")
        except ValueError:
            self._note(node, "this is no base64", "write the text itself")
            return ""

    def _problem(self, key: str, message: str, hint: str) -> None:
        self.problems.append(Problem(self._file, self.lines.get(key, 1), 1, message, hint))

    def _note(self, node: yaml.Node, message: str, hint: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self._file, mark.line + 1, mark.column + 1, message, hint))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
