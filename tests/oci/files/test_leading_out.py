"""Folders and archives of images as a stranger makes them: what they name stays inside, ends, and is bounded."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from gitops.model import canonical, sha256
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files import taking
from gitops.oci.files.importing import import_images
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.console import toweros

CONFIG = canonical({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def unpacked(folder: Path, layers: list[Any], config: str = "c.json") -> Path:
    """What `docker save` wrote, unpacked."""
    folder.mkdir()
    (folder / "c.json").write_bytes(CONFIG)
    (folder / "manifest.json").write_text(json.dumps([{"Config": config, "RepoTags": ["a:1"], "Layers": layers}]))
    return folder


def problem(store: Store, place: Path) -> str:
    return import_images(Elsewhere(Settings(), store), store, str(place)).problems["a:1"]


@pytest.mark.parametrize("name", ["{}/secret", "../secret", "link"])
def test_no_path_of_a_folder_leads_out_of_it(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"s3cret")
    place = unpacked(tmp_path / "images", [name.format(tmp_path)])
    (place / "link").symlink_to(tmp_path / "secret")
    assert "is missing" in problem(store, place)
    assert not store.blobs.has(sha256(b"s3cret"))


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    os.mkfifo(unpacked(tmp_path / "images", ["pipe"]) / "pipe")
    assert "pipe is missing" in problem(store, tmp_path / "images")


def test_a_name_that_no_file_can_have_is_no_traceback(store: Store, tmp_path: Path) -> None:
    assert "is missing" in problem(store, unpacked(tmp_path / "images", [], "a\0b"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_sparse_file_fills_no_disk(
    store: Store, tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terabyte of holes takes a page in a folder, and in a GNU tar; as a blob of the store it would take it all."""
    monkeypatch.setattr(taking, "MAX_IMAGE", 4 << 20)
    place = unpacked(tmp_path / "images", ["big"])
    if packed:
        info = tarfile.TarInfo("big")
        info.type, row = tarfile.GNUTYPE_SPARSE, b"%011o\0" * 2
        with tarfile.open(tmp_path / "images.tar", "w") as archive:
            archive.add(place, "")
            head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
            head[386:410], head[483:495] = row % (1 << 30, 0), b"%011o\0" % (1 << 30)
            head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
            archive.fileobj.write(bytes(head))
            archive.offset += len(head)
    else:
        with (place / "big").open("wb") as file:
            file.truncate(1 << 40)
    assert "has more than 4194304 bytes" in problem(store, tmp_path / ("images.tar" if packed else "images"))


def test_a_layer_that_is_named_a_million_times_is_read_no_more_than_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = unpacked(tmp_path / "images", ["layer"] * 400_000)
    (place / "layer").write_bytes(b"x" * 1000)
    assert "has 400000 layers, more than 500" in problem(store, place)
    assert not store.blobs.has(sha256(b"x" * 1000)), "it is refused before anything is read"
    monkeypatch.setattr(taking, "MAX_IMAGE", 1500)
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [f"sha256:{sha256(b'x' * 1000)}"] * 500}}
    place = unpacked(tmp_path / "fewer", ["layer"] * 500)
    (place / "c.json").write_bytes(canonical(config))
    (place / "layer").write_bytes(b"x" * 1000)
    result = import_images(Elsewhere(Settings(), store), store, str(place))
    assert not result.problems and len(result.images[0].image.layers) == 500, "once, so that it fits in 1,500 bytes"


def test_what_an_image_is_called_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    config = canonical({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [f"sha256:{sha256(b'x')}"]}})
    place = unpacked(tmp_path / "images", ["x"])
    (place / "x").write_bytes(b"x")
    (place / "c.json").write_bytes(config)
    rows = json.loads((place / "manifest.json").read_text())
    rows[0]["RepoTags"] = ["\x1b[31mred\ud800"]
    (place / "manifest.json").write_text(json.dumps(rows))
    said = toweros("image", "import", place, "--state", tmp_path / "state")
    assert said.exit_code == 0 and "?[31mred?" in said.stdout
