"""The list of what is inside, in the root of an assembly, as LinuxKit has it."""

import gzip
import json
from pathlib import Path

import pytest

from gitops.assemble.formats.assembly import Assembly
from gitops.assemble.formats.memory import Memory
from gitops.assemble.formats.work import Tools
from gitops.fleet.linuxkit.files import WorkingFolder
from gitops.fleet.linuxkit.spec import load
from gitops.model import Json, Spec, canonical
from gitops.oci.layout import OciLayout
from gitops.workflows.media.sbom import sbom_piece, with_sbom
from tests.kit.images import Made, attestation, index, layout, made, named
from tests.kit.oci import tar

APK = b"P:musl\nV:1.2.5-r9\no:musl\nL:MIT\n\nP:busybox\nV:1.37.0-r12\no:busybox\nL:GPL-2.0-only\n\n"
DPKG = b"Package: libc6\nStatus: install ok installed\nVersion: 2.41-12\nSource: glibc\n\n"
SPEC = """init: ["init:1"]
onboot: [{name: a, image: "debian:1"}]
services: [{name: b, image: "own:1", readonly: true}]
"""
SPDX = "https://spdx.dev/Document"


def spec(text: str = SPEC) -> Spec:
    problems: list[object] = []
    read = load(WorkingFolder({"demo.yml": text.encode()}), ["demo.yml"], problems)  # type: ignore[arg-type]
    assert problems == []
    return read


def attested(image: Made, document: Json) -> Made:
    """With what BuildKit's scanner says of it."""
    statement = canonical({"_type": "https://in-toto.io/Statement/v0.1", "predicateType": SPDX, "predicate": document})
    row = named("application/vnd.in-toto+json", statement) | {"annotations": {"in-toto.io/predicate-type": SPDX}}
    beside = attestation(image)
    manifest = json.loads(beside.manifest) | {"layers": [row]}
    beside = Made(canonical(manifest), beside.platform, (*beside.blobs, statement))
    told = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
    return index(image, beside, says={beside.digest: {"annotations": told}})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    package = {"SPDXID": "SPDXRef-Package-x", "name": "tool", "versionInfo": "3.1", "downloadLocation": "NOASSERTION"}
    file = {"SPDXID": "SPDXRef-File-x", "fileName": "/usr/bin/tool", "checksums": []}
    row = {"spdxElementId": "SPDXRef-Package-x", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-File-x"}
    document = {"spdxVersion": "SPDX-2.3", "packages": [package], "files": [file], "relationships": [row]}
    return layout(
        tmp_path / "oci",
        {
            "init:1": made([tar({"lib/apk/db/installed": APK, "init": b"x"})]),
            "debian:1": made([tar({"var/lib/dpkg/status": DPKG})]),
            "own:1": attested(made([tar({"usr/bin/tool": b"x"})]), document),
        },
    )


def no_tools() -> Tools:
    raise AssertionError("no step needs a tool here")


def assembled(folder: Path, images: Path, read: Spec, format_: str) -> bytes:
    place, memory = OciLayout(images), Memory(folder / "assembled")
    with Assembly(read, place, memory, no_tools, [sbom_piece(read, place, memory)]) as assembly:
        assembly.write([format_], folder / "out")
    (made_file,) = [path for path in folder.iterdir() if path.name.startswith("out")]
    return made_file.read_bytes()


def listed(data: bytes) -> Json:
    """The document in a tar or in an archive of cpio: JSON that is alone on its line."""
    begin = data.index(b'{"SPDXID":"SPDXRef-DOCUMENT"')
    found: Json = json.JSONDecoder().raw_decode(data[begin:].decode(errors="replace"))[0]
    return found


def test_every_image_is_listed_by_its_builders_words_or_its_databases(tmp_path: Path, images: Path) -> None:
    document = listed(assembled(tmp_path, images, spec(), "tar"))
    names = {row["name"]: row["versionInfo"] for row in document["packages"]}
    assert names.items() >= {("musl", "1.2.5-r9"), ("busybox", "1.37.0-r12"), ("libc6", "2.41-12"), ("tool", "3.1")}
    (file,) = document["files"]
    assert file["fileName"] == "containers/services/b/rootfs/usr/bin/tool"
    (tool,) = [row for row in document["packages"] if row["name"] == "tool"]
    same = [row for row in document["relationships"] if row["spdxElementId"] == tool["SPDXID"]]
    assert [row["relatedSpdxElement"] for row in same] == [file["SPDXID"]]
    every = [row["SPDXID"] for row in (*document["packages"], *document["files"])]
    assert len(set(every)) == len(every)


def test_it_is_the_same_twice_and_in_an_initrd(tmp_path: Path, images: Path) -> None:
    one, two = (assembled(tmp_path / turn, images, spec(), "kernel+initrd") for turn in ("a", "b"))
    assert one == two
    assert listed(gzip.decompress(one)) == listed(assembled(tmp_path / "c", images, spec(), "tar"))


def test_a_release_has_the_list_under_the_name_that_was_asked_for(tmp_path: Path, images: Path) -> None:
    """It was always `sbom.spdx.json`, whatever `--sbom-output` said."""
    place, memory = OciLayout(images), Memory(tmp_path / "assembled")
    file = with_sbom(spec(), place, memory, "inside.json").files[-1]
    assert file["path"] == "inside.json" and listed(file["contents"].encode()) == listed(
        assembled(tmp_path / "a", images, spec(), "tar")
    )


def test_where_nobody_knows_anything_there_is_no_list(tmp_path: Path) -> None:
    place = layout(tmp_path / "oci", {"init:1": made([tar({"init": b"x"})])})
    read = spec('init: ["init:1"]\n')
    assert with_sbom(read, OciLayout(place), Memory(tmp_path / "assembled")) == read
    assert b"sbom.spdx.json" not in assembled(tmp_path / "a", place, read, "tar")
    assert b"sbom.spdx.json" not in gzip.decompress(assembled(tmp_path / "b", place, read, "kernel+initrd"))
