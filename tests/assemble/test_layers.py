"""Layers: the same content is the same layer, and a bad tar is refused with a reason."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from gitops.assemble.layers import IMAGE, Layers, check_tar, make_layer
from gitops.errors import AssembleError
from gitops.model import BLOCK
from gitops.store import Store
from tests.kit import built


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


def some_members() -> list[tuple[tarfile.TarInfo, bytes]]:
    folder = member("etc", type=tarfile.DIRTYPE, mode=0o755)
    files = [member(f"etc/{n}", bytes([n]) * (n * 700), mtime=n) for n in range(12)]
    return [folder, *files, member("sh", type=tarfile.SYMTYPE, linkname="etc/1")]


@pytest.mark.e2e
def test_order_and_times_of_the_tar_do_not_matter(tmp_path: Path) -> None:
    tools, roots = built.toolbox(), set()
    for seed in range(4):
        members = some_members()
        random.Random(seed).shuffle(members)
        for info, _ in members:
            info.mtime = 1_700_000_000 + seed
        with tools.workspace() as work:
            layer = make_layer(work, tar_of(tmp_path / f"{seed}.tar", members))
            assert work.path(IMAGE).stat().st_size == layer.size
        assert layer.size % BLOCK == 0
        roots.add(layer.root)
    assert len(roots) == 1


@pytest.mark.e2e
def test_other_content_is_another_layer(tmp_path: Path) -> None:
    tools = built.toolbox()
    with tools.workspace() as work:
        one = make_layer(work, tar_of(tmp_path / "one.tar", some_members()))
    with tools.workspace() as work:
        two = make_layer(work, tar_of(tmp_path / "two.tar", [*some_members(), member("more", b"x")]))
    assert one.root != two.root


@pytest.mark.e2e
def test_an_empty_layer_is_a_layer(tmp_path: Path) -> None:
    with built.toolbox().workspace() as work:
        assert make_layer(work, tar_of(tmp_path / "empty.tar", [])).size >= BLOCK


@pytest.mark.e2e
def test_a_layer_is_made_once_and_outlives_its_tar(tmp_path: Path) -> None:
    tools, store = built.toolbox(), Store.open(tmp_path / "store")
    diff_id = store.blobs.put_file(tar_of(tmp_path / "one.tar", some_members())).sha256
    layer = Layers(store, tools).of_blob(diff_id)
    assert store.layers.path(layer.root).stat().st_size == layer.size
    store.blobs.remove(diff_id)
    assert Layers(store, tools).of_blob(diff_id) == layer
    with pytest.raises(AssembleError, match="missing"):
        Layers(store, tools, 2).of_blob(diff_id)


@pytest.mark.e2e
def test_no_workspace_is_left_behind(tmp_path: Path) -> None:
    tools, store = built.toolbox(), Store.open(tmp_path / "store")
    before = set(built.toolbox_root().glob("work/*"))
    Layers(store, tools).of_tar(tar_of(tmp_path / "one.tar", some_members()).read_bytes())
    assert set(built.toolbox_root().glob("work/*")) == before


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([member("../etc/passwd", b"x")], "leaves the layer"),
        ([member("a/../../b", b"x")], "leaves the layer"),
        ([member("/../etc/passwd", b"x")], "leaves the layer"),
        ([member("a", type=tarfile.LNKTYPE, linkname="../../etc/shadow")], "leaves the layer"),
    ],
)
def test_what_no_layer_may_hold(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], reason: str) -> None:
    with pytest.raises(AssembleError, match=reason):
        check_tar(tar_of(tmp_path / "bad.tar", members))


def test_damaged_tars_are_refused(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "whole.tar", some_members()).read_bytes()
    check_tar(tmp_path / "whole.tar")
    flipped = bytearray(whole)
    flipped[2 * 512 + 3] ^= 0xFF
    bad = {"garbage": random.Random(1).randbytes(5000), "short": whole[:3000], "flipped": bytes(flipped), "none": b""}
    for name, data in bad.items():
        path = tmp_path / f"{name}.tar"
        path.write_bytes(data)
        with pytest.raises(AssembleError):
            check_tar(path)


@pytest.mark.e2e
def test_the_root_folder_is_writable_by_root_alone(tmp_path: Path) -> None:
    tar = tmp_path / "layer.tar"
    with tarfile.open(tar, "w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    with built.toolbox().workspace() as work:
        make_layer(work, tar)
        said = work.run(["dump.erofs", "--path=/", IMAGE]).decode()
    assert "Access: 0755" in said
