"""What is inside of an assembly, as a file of its root: `sbom.spdx.json`, SPDX 2.3, as `linuxkit build` writes it.

In: a spec, its images. Out: a piece of the root. Rules: of each image its builder's own document counts, if one is
beside it; else the databases of packages in it are read. Paths are those in the root. Times are fixed and names follow
from the contents: equal images give equal bytes. What is known of an image is remembered by its digest. Where nobody
knows anything, there is no file: an empty list would say that nothing is inside.

    Assembly(spec, images, memory, tools, [sbom_piece(spec, images, memory)])
"""

import json
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gitops.assemble.formats.memory import Memory
from gitops.assemble.formats.tar import Item, Piece
from gitops.assemble.root.tree import Root, TreeEntry, layout, tar_info
from gitops.model import Json, Spec, canonical, sha256
from gitops.oci.files.attested import spdx_of
from gitops.oci.layout import OciLayout

NAME = "sbom.spdx.json"
"""LinuxKit's (linuxkit build, --sbom-output)."""
FORMAT = 1
"""The number of these rules."""
CREATED = "1970-01-01T00:00:00Z"
LISTS = ("packages", "files", "hasExtractedLicensingInfos", "relationships")
ENDS = {"spdxElementId", "relatedSpdxElement"}
DOCUMENT, PREFIX = "SPDXRef-DOCUMENT", "SPDXRef-"


def sbom_piece(spec: Spec, images: OciLayout, memory: Memory, name: str = NAME) -> Piece:
    """The piece with the file `name`, made when it is asked for.

    Raises:
        AssembleError: an image is missing, or its documents are damaged.
    """
    held = list(_held(spec, images))
    rows = [[each, path, images.digest(each), _entry(images, each)] for each, path in held]
    key = sha256(canonical(["sbom", FORMAT, name, rows]))

    def items() -> Iterator[Item]:
        if data := _listed(held, images, memory):
            yield tar_info(TreeEntry(name, "file", 0o644, data=data)), data

    return Piece(key, items, "entries")


def with_sbom(spec: Spec, images: OciLayout, memory: Memory, name: str = NAME) -> Spec:
    """The spec with the file `name` among its files, for who takes no pieces."""
    data = _listed(list(_held(spec, images)), images, memory)
    listed = {"path": name, "contents": data.decode(), "mode": "0644"}
    return replace(spec, files=(*spec.files, listed)) if data else spec


def _listed(held: list[tuple[str, str]], images: OciLayout, memory: Memory) -> bytes:
    parts = [(_known(each, images, memory), path) for each, path in held]
    return _document(parts) if any(part["packages"] for part, _ in parts) else b""


def _held(spec: Spec, images: OciLayout) -> Iterator[tuple[str, str]]:
    """(image, where its root is); of the kernel's image only a part is there."""
    yield from ((each, "") for each in (spec.kernel, *spec.init) if each)
    for item in layout(spec, images.images(container.image for container in spec.containers())):
        if isinstance(item, Root):
            yield item.image, item.path


def _entry(images: OciLayout, name: str) -> str:
    """Changes with an attestation, too."""
    return str(images.descriptor(name).get("digest", ""))


def _known(name: str, images: OciLayout, memory: Memory) -> Json:
    key = sha256(canonical(["inventory", FORMAT, images.digest(name), _entry(images, name)]))
    found: Json = json.loads(
        memory.get(key, lambda target: target.write_bytes(canonical(_looked(name, images)))).read_bytes()
    )
    return found


def _looked(name: str, images: OciLayout) -> Json:
    """The lists of a document about one image."""
    document = spdx_of(images, name) or _read(name, images)
    return {key: [row for row in document.get(key) or () if isinstance(row, dict)] for key in LISTS}


def _read(name: str, images: OciLayout) -> Json:
    from gitops.security.sbom.foreign import of_image
    from gitops.security.sbom.spdx import spdx

    with tempfile.TemporaryDirectory(prefix="toweros-layers-") as scratch:
        inventory = of_image(name, images.readable(name, Path(scratch)))
    found: Json = json.loads(spdx(inventory)) if inventory.components else {}
    return found


def _document(parts: list[tuple[Json, str]]) -> bytes:
    lists: Json = {key: [] for key in LISTS}
    for number, (part, path) in enumerate(parts):
        for key in LISTS:
            lists[key] += [_placed(row, number, path) for row in part[key]]
    document: Json = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": "sbom",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, sha256(canonical(lists)))}",
        "creationInfo": {"created": CREATED, "creators": ["Tool: toweros"]},
        **{key: rows for key, rows in lists.items() if rows},
    }
    return canonical(document)


def _placed(row: Json, number: int, path: str) -> Json:
    """A row with a name of its own among all documents, and the path of its file in the root."""
    row = {key: _renamed(value, number) if key in ENDS else value for key, value in row.items()}
    if isinstance(row.get("SPDXID"), str):
        row["SPDXID"] = _renamed(row["SPDXID"], number)
    for key in ("fileName", "packageFileName"):
        if isinstance(row.get(key), str):
            row[key] = f"{path}/{row[key].removeprefix('./').lstrip('/')}".lstrip("/")
    row.pop("hasFiles", None)  # older than relationships, which say the same (SPDX 2.3, 11.1)
    return row


def _renamed(name: object, number: int) -> object:
    if not isinstance(name, str) or not name.startswith(PREFIX) or name == DOCUMENT:
        return name
    return f"{PREFIX}{number}-{name.removeprefix(PREFIX)}"
