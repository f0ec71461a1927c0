"""Packages that stand on images of others in every way that a Dockerfile has, and those images in a registry.

there = Pushed(host)
tree = standing(there, maker(folder))
packages = load(tree)
files(store, image)                      # {"made": b"made\\n", ...} of all layers together
"""

import gzip
import json
import tarfile
from pathlib import Path

from gitops.model import Image, Json, canonical, sha256
from gitops.oci.image import LAYER
from gitops.oci.registry import MANIFEST
from gitops.process import run
from gitops.store import Store
from tests.kit.oci import tar
from tests.kit.registry import INDEX, Pushed, image
from tests.simulators.tree import DictTree

ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
"""What BuildKit puts beside each image of an index, for a platform that is none (BuildKit, docs/attestations)."""


MAKER = r"""
#include <fcntl.h>
#include <unistd.h>
int main(void) { return write(open("/made", O_CREAT | O_WRONLY, 0644), "made\n", 5) != 5; }
"""


def maker(folder: Path) -> bytes:
    """A program that needs no library, and writes /made."""
    (folder / "maker.c").write_text(MAKER)
    run(["gcc", "-static", "-s", "-o", folder / "maker", folder / "maker.c"])
    return (folder / "maker").read_bytes()


def standing(there: Pushed, maker: bytes) -> DictTree:
    """Packages, by what is odd about them."""
    host = there.host
    layer = tar({"etc/base": b"theirs\n", "maker": maker})
    ours = _pushed(there, "web/debian", layer, gzip.compress(layer, mtime=0), "+gzip")
    packed = _pushed(there, "web/packed", layer, run(["zstd", "-qc"], stdin=layer), "+zstd")
    debian = f"{host}/web/debian@{_index(there, ours)}"
    tools = there.push("web/tools", "1", tar({"bin/tool": b"tool\n"}))
    dockerfiles = {
        "below": f'FROM {debian}\nRUN ["/maker"]\n',
        "stages": (
            f"ARG FROM={debian}\nFROM --platform=$BUILDPLATFORM ${{FROM}} AS one\n"
            f'RUN ["/maker"]\nFROM --platform=linux/amd64 {debian} as two\nCOPY --from=one /made /made\n'
            f"FROM scratch\nCOPY --from=two /made /made\nCOPY --from={host}/web/tools:1 /bin/tool /by-tag\n"
            f"COPY --from={host}/web/tools@{tools} /bin/tool /by-digest\n"
        ),
        "packed": f'FROM {host}/web/packed@{packed}\nRUN ["/maker"]\n',
    }
    files = {"fleet.yaml": "{}\n", "images.lock": f"{host}/web/tools:1 {tools}\n"}
    for name, text in dockerfiles.items():
        files |= {f"pkg/{name}/build.yml": f"image: {name}\n", f"pkg/{name}/Dockerfile": text}
    return DictTree(files)


FOUND = {
    "pkg/below": {"etc/base": b"theirs\n", "made": b"made\n"},
    "pkg/stages": {"made": b"made\n", "by-tag": b"tool\n", "by-digest": b"tool\n"},
    "pkg/packed": {"etc/base": b"theirs\n", "made": b"made\n"},
}
"""What is in each, beside the program and what builders leave in /etc."""


def files(store: Store, image: Image) -> dict[str, bytes]:
    """The files of all layers, those of builders and the program left out."""
    found = {}
    for diff_id in image.layers:
        with tarfile.open(store.blobs.path(diff_id)) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream and member.name not in ("maker", "etc/hosts", "etc/hostname", "etc/resolv.conf"):
                    found[member.name] = stream.read()
    return found


def _pushed(there: Pushed, name: str, layer: bytes, packed: bytes, kind: str) -> str:
    _, config = image(layer)
    manifest: Json = json.loads(image(layer)[0])
    manifest["layers"] = [{"mediaType": f"{LAYER}{kind}", "digest": f"sha256:{sha256(packed)}", "size": len(packed)}]
    return there.put(name, "ours", canonical(manifest), config, packed)


def _index(there: Pushed, ours: str) -> str:
    """An index whose first entries are an attestation and another machine's image."""
    attested, theirs = there.push("web/debian", "seen", b"{}", "unknown"), there.push("web/debian", "arm", b"", "arm64")
    platforms = {attested: ("unknown", "unknown"), theirs: ("linux", "arm64"), ours: ("linux", "amd64")}
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": digest,
            "size": there.size("web/debian", digest),
            "platform": {"os": system, "architecture": machine},
            **({"annotations": ATTESTED} if digest == attested else {}),
        }
        for digest, (system, machine) in platforms.items()
    ]
    return there.put("web/debian", "13", canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
