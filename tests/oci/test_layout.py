"""OCI layouts as a stranger makes them: whatever their documents are, it is told in words."""

import json
from pathlib import Path

import pytest

from gitops.errors import AssembleError
from gitops.model import canonical, sha256
from gitops.oci.layout import REF_NAME, OciLayout

EMPTY = {"digest": f"sha256:{sha256(b'{}')}"}


def layout(folder: Path, manifest: bytes) -> OciLayout:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (manifest, b"{}"):
        (blobs / sha256(data)).write_bytes(data)
    row = {"digest": f"sha256:{sha256(manifest)}", "annotations": {REF_NAME: "a"}}
    (folder / "index.json").write_text(json.dumps({"manifests": [row]}))
    return OciLayout(folder)


@pytest.mark.parametrize(
    "manifest",
    [
        b"{}", b"[]", b"\xff{", b"null", canonical({"config": EMPTY}), canonical({"config": EMPTY, "layers": [3]}),
        canonical({"manifests": [{}]}), canonical({"manifests": 3}), b'{"manifests":' * 3000 + b"[]" + b"}" * 3000,
        canonical({"config": [], "layers": [{}]}), b" " * (5 << 20),
    ],
)  # fmt: skip
def test_documents_that_are_none_are_told(tmp_path: Path, manifest: bytes) -> None:
    found = layout(tmp_path / "layout", manifest)
    (tmp_path / "scratch").mkdir()
    for ask in (lambda: found.images(["a"]), lambda: found.layers("a", tmp_path / "scratch")):
        with pytest.raises(AssembleError) as caught:
            ask()
        assert "the documents of a are damaged" in str(caught.value) or "too many for a document" in str(caught.value)
