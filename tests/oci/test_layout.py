"""OCI layouts as a stranger makes them: whatever their documents are, it is told in words."""

import json
import os
from collections.abc import Callable
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


def leads_out(folder: Path) -> str:
    return "sha256:../../../../../../../../../../dev/zero"


def never_ends(folder: Path) -> str:
    (folder / "blobs" / "sha256" / ("0" * 64)).symlink_to("/dev/zero")
    return f"sha256:{'0' * 64}"


def is_waited_for(folder: Path) -> str:
    os.mkfifo(folder / "blobs" / "sha256" / ("0" * 64))
    return f"sha256:{'0' * 64}"


@pytest.mark.parametrize("attack", [leads_out, never_ends, is_waited_for])
@pytest.mark.parametrize("place", ["image", "config", "layer"])
def test_a_strangers_folder_names_its_own_files_alone(
    tmp_path: Path, attack: Callable[[Path], str], place: str
) -> None:
    """Each of these was read without an end."""
    layout(tmp_path / "layout", b"[]")
    digest = attack(tmp_path / "layout")
    image = {"config": EMPTY, "layers": []}
    image |= {"config": {"digest": digest}} if place == "config" else {"layers": [{"digest": digest}]}
    (tmp_path / "layout" / "blobs" / "sha256" / sha256(canonical(image))).write_bytes(canonical(image))
    named = digest if place == "image" else f"sha256:{sha256(canonical(image))}"
    rows = [{"digest": named, "annotations": {REF_NAME: "a"}}]
    (tmp_path / "layout" / "index.json").write_text(json.dumps({"manifests": rows}))
    found = OciLayout(tmp_path / "layout")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(AssembleError, match="names no blob"):
        found.images(["a"])
        found.layers("a", tmp_path / "scratch")
