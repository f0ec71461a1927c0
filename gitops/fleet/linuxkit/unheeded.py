"""What LinuxKit YAML says and no machine does, LinuxKit's own included: taken, and never in silence.

In: a fleet's tree. Out: sentences, each with file and line. Rules: `trust:` asks nobody for a signature (LinuxKit took
Docker Content Trust out and kept the word; `keys/cosign/` is what counts, docs/spec.md, Tags); a file below a folder
over which init mounts memory or a file system of the kernel's is there, and nobody sees it (LinuxKit's docs/yaml.md).

    unheeded(tree)     # ["boot/vm.yml:12: `trust` checks nothing, as LinuxKit has it: ..."]
"""

from collections.abc import Iterator
from itertools import islice

from gitops.fleet.documents import yaml
from gitops.model import Tree

FOLDERS, ENDS = ("boot/", "roles/"), (".yml", ".yaml")
MOST = 20
"""Sentences: the first are enough to know of."""
COVERED = ("dev", "proc", "run", "sys", "tmp", "var")
"""Folders of the root that pkg/init mounts something over."""


def unheeded(tree: Tree) -> list[str]:
    """In sentences, the first of them."""
    paths = sorted(path for path in tree.entries() if path.startswith(FOLDERS) and path.endswith(ENDS))
    return list(islice((each for path in paths for each in _of(tree, path)), MOST))


def _of(tree: Tree, path: str) -> Iterator[str]:
    data = tree.read(path)
    document = yaml.read(data, path, []) if b"trust" in data or b"files" in data else None
    said = document.value if document else None
    if not document or not isinstance(said, dict):
        return
    if said.get("trust"):
        hint = "put the signers' public keys into keys/cosign/, and take it out"
        yield f"{path}:{document.mark(('trust',))[0]}: `trust` checks nothing, as LinuxKit has it: {hint}"
    for index, file in enumerate(said["files"] if isinstance(said.get("files"), list) else ()):
        place = str(file.get("path", "")).strip("/") if isinstance(file, dict) else ""
        if "/" in place and place.partition("/")[0] in COVERED:
            line = document.mark(("files", index))[0]
            yield f"{path}:{line}: no container sees /{place}: init mounts over /{place.partition('/')[0]} at each boot"
