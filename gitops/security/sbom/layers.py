"""Which parts of a package are in one of its layers, and which files are nobody's.

In: a layer's tar, the parts of the package's own lock, and those of its siblings. Out: the layer's `Inventory`. Rules:

- a part is in a layer when a file of it is: at its path (a Python source also as its byte code), or, as programs are
  copied out under other names, with its content; a part whose files are not known, or may have been changed, counts;
- when none of the own parts is found, all of them count: better one too many than one too few;
- a file that no own part has with that content may be a sibling's (copied out of a stage): by content alone;
- a file that is nobody's by content is loose, though a part may have its path: somebody changed it.

    inventories({diff_id: tar}, own, siblings)[diff_id]
"""

import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gitops.model import Component, Inventory, LooseFile
from gitops.security.sbom.files import OS_RELEASE, Content, digests, distribution
from gitops.security.sbom.parts import Part

SITE = re.compile(r".*?/(?:site|dist)-packages/")
BYTE_CODE = re.compile(r"(?:__pycache__/)?([^/]+?)(?:\.cpython-\d+)?(?:\.opt-\d)?\.pyc$")

Owners = Mapping[str, Sequence[Component]]


def inventories(
    tars: Mapping[str, Path], own: Sequence[Part], siblings: Callable[[], Iterable[Part]] = tuple
) -> dict[str, Inventory]:
    """What each of a package's own layers holds (name -> tar). `siblings` is asked only when a file is not ours."""
    found = {name: _layer(tar, own, siblings) for name, tar in tars.items()}
    ours = {part.component for part in own if part.opened}
    if found and not any(ours & set(each.components) for each in found.values()):
        last = list(found)[-1]
        found[last] = Inventory.union([found[last], Inventory(tuple(ours))])
    return found


def _layer(tar: Path, own: Sequence[Part], siblings: Callable[[], Iterable[Part]]) -> Inventory:
    closed = [part.component for part in own if not part.opened]
    unread = [f"{component.name} {component.version}: its file cannot be read" for component in closed]
    try:
        files = digests(tar)
    except (tarfile.TarError, OSError, EOFError):
        whole = tuple(part.component for part in own)
        return Inventory.union([Inventory(whole, unread=(*unread, f"layer {tar.name}: it cannot be read"))])
    loose = _unowned(files, own)
    others = _by_content(siblings()) if loose else {}
    taken = {component for path in loose for component in others.get(files[path].sha256, ())}
    nobodys = [_loose(path, files[path]) for path in loose if files[path].sha256 not in others]
    components = tuple(_present(files, own) | taken)
    return Inventory.union([Inventory(components, tuple(nobodys), _distribution(files), tuple(unread))])


def _loose(path: str, content: Content) -> LooseFile:
    return LooseFile(path, content.sha256, content.size, content.sha1)


def _present(files: Mapping[str, Content], own: Sequence[Part]) -> set[Component]:
    paths: dict[str, list[Component]] = defaultdict(list)
    for part in own:
        for path in part.files:
            paths[path].append(part.component)
    contents = _by_content(own)
    found = set[Component]()
    for path, content in files.items():
        at_path = [component for name in _names(path) for component in paths.get(name, ())]
        found.update(at_path or contents.get(content.sha256, ()))
    return found | {part.component for part in own if part.always or not part.opened}


def _unowned(files: Mapping[str, Content], own: Sequence[Part]) -> list[str]:
    owned = {content.sha256 for part in own for content in part.files.values()}
    return [path for path, content in files.items() if content.sha256 not in owned]


def _by_content(parts: Iterable[Part]) -> dict[str, list[Component]]:
    """Who has a content. That of an empty file says nothing."""
    owners: dict[str, list[Component]] = defaultdict(list)
    for part in parts:
        for digest in {content.sha256 for content in part.files.values() if content.size}:
            owners[digest].append(part.component)
    return dict(owners)


def _names(path: str) -> list[str]:
    """The paths that a package may have for a file of a layer."""
    source = BYTE_CODE.sub(r"\1.py", path) if path.endswith(".pyc") else path
    return [path, source, *(SITE.sub("", name) for name in (path, source) if SITE.match(name))]


def _distribution(files: Mapping[str, Content]) -> str:
    heads = [files[name].head for name in OS_RELEASE if name in files and files[name].head]
    return distribution(heads[0]) if heads else ""
