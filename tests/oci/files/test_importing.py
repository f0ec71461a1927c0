"""Images out of files: every form in which people carry them, and what is damaged, missing or for other machines."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitops.errors import AssembleError, RegistryError
from gitops.fleet.images.boot import pinned
from gitops.model import Json, canonical, sha256
from gitops.oci.elsewhere import Elsewhere, stored
from gitops.oci.files.cache import Cache, as_tar
from gitops.oci.files.importing import import_images
from gitops.oci.files.taking import Result
from gitops.oci.layout import OciLayout
from gitops.oci.plain import unpacked_image
from gitops.oci.registry import MANIFEST
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.images import CONFIG as OF_CONFIG
from tests.kit.images import Made, attestation, index, layout, made, named, zstd
from tests.kit.oci import tar

TAR = tar({"etc/x": b"x"})
OURS, ARM = made([TAR], pack=gzip.compress), made([b"arm"], ("linux", "arm64"))
CACHED = "docker.io/linuxkit/ntp:abc"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def taken(store: Store, source: Path, *names: str) -> Result:
    return import_images(Elsewhere(Settings(), store), store, str(source), names)


def packed(folder: Path, target: Path, mode: str = "w") -> Path:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        for path in sorted(folder.rglob("*")):
            archive.add(path, f"./{path.relative_to(folder)}")
    return target


def saved(target: Path, files: Mapping[str, bytes | str], mode: str = "w") -> Path:
    """A tar of files, and of links (`str`)."""
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data if isinstance(data, bytes) else b""))
    return target


def docker_saved(*layers: bytes, architecture: str = "amd64", **more: bytes | str) -> dict[str, bytes | str]:
    """As Docker wrote before its version 25: a folder for each layer."""
    diff_ids = [f"sha256:{sha256(layer)}" for layer in layers]
    config = canonical({"os": "linux", "architecture": architecture, "rootfs": {"diff_ids": diff_ids}})
    paths = [f"{number:064x}/layer.tar" for number, _ in enumerate(layers)]
    rows = [{"Config": f"{sha256(config)}.json", "RepoTags": ["web/ntp:1"], "Layers": paths}]
    files: dict[str, bytes | str] = dict(zip(paths, layers, strict=True))
    return files | {f"{sha256(config)}.json": config, "manifest.json": json.dumps(rows).encode()} | more


def test_a_layout_with_an_index_is_found_by_both_digests(store: Store, tmp_path: Path) -> None:
    whole = index(ARM, attestation(OURS), OURS)
    (one,) = taken(store, layout(tmp_path / "layout", {"ntp": whole})).images
    assert (one.name, f"sha256:{one.digest}") == ("ntp", whole.digest)
    for digest in (whole.digest, OURS.digest):
        assert stored(store, digest.removeprefix("sha256:")) == one.image, "nobody is asked for it again"
        name = pinned(f"ntp@{digest}", {})
        image = Elsewhere(Settings(), store).image(name)
        assert unpacked_image(store, name, image).layers == (sha256(TAR),)


@pytest.mark.parametrize(("mode", "form"), [("w", "tar"), ("w:gz", "tar.gz"), ("w:xz", "tar.xz")])
def test_a_layout_in_a_tar_is_one_too(store: Store, tmp_path: Path, mode: str, form: str) -> None:
    folder = layout(tmp_path / "layout", {"ntp": OURS})
    (one,) = taken(store, packed(folder, tmp_path / f"layout.{form}", mode)).images
    assert f"sha256:{one.digest}" == OURS.digest and stored(store, one.digest) == one.image


def test_linuxkits_cache_is_a_layout_of_which_names_are_taken(store: Store, tmp_path: Path) -> None:
    """Parts of an index that were never pulled are not there, and need not be."""
    whole, other = index(OURS, ARM), made([b"other"])
    cache = layout(tmp_path / "cache", {CACHED: whole, "docker.io/linuxkit/other:1": other})
    (cache / "blobs" / "sha256" / ARM.digest.removeprefix("sha256:")).unlink()
    (one,) = taken(store, cache, CACHED).images
    assert one.name == CACHED and not stored(store, other.digest.removeprefix("sha256:"))
    assert taken(store, cache, whole.digest).images[0].image == one.image, "a digest is a name, too"
    with pytest.raises(AssembleError, match=r"has no docker\.io/linuxkit/nothing:1") as caught:
        taken(store, cache, "docker.io/linuxkit/nothing:1")
    assert CACHED in caught.value.hint


def test_what_docker_saves_today_is_a_layout_with_names_of_containerd(store: Store, tmp_path: Path) -> None:
    folder = layout(tmp_path / "layout", {"docker.io/web/ntp:1": OURS}, "io.containerd.image.name")
    (folder / "manifest.json").write_text("[]")
    (one,) = taken(store, packed(folder, tmp_path / "saved.tar")).images
    assert (one.name, f"sha256:{one.digest}") == ("docker.io/web/ntp:1", OURS.digest)


def test_what_docker_saved_before_gets_the_same_digest_each_time(store: Store, tmp_path: Path) -> None:
    first = saved(tmp_path / "a.tar", docker_saved(TAR, b"second"))
    again = saved(tmp_path / "b.tar.gz", docker_saved(TAR, b"second", extra=b"x"), "w:gz")
    (one,), (other,) = taken(store, first).images, taken(store, again).images
    assert one.name == "web/ntp:1" and one.digest == other.digest
    assert [each.name for each in taken(store, first, "web/ntp:1").images] == ["web/ntp:1"]
    image = unpacked_image(store, "ntp", one.image)
    assert image.layers == (sha256(TAR), sha256(b"second"))


def test_a_layer_that_is_a_link_to_another_images_is_followed(store: Store, tmp_path: Path) -> None:
    files = docker_saved(TAR, TAR) | {f"{1:064x}/layer.tar": f"../{0:064x}/layer.tar"}
    (one,) = taken(store, saved(tmp_path / "a.tar", files)).images
    assert len(one.image.layers) == 2
    circle = docker_saved(TAR) | {f"{0:064x}/layer.tar": "layer.tar"}
    assert "missing" in taken(store, saved(tmp_path / "b.tar", circle)).problems["web/ntp:1"]


def test_one_damaged_image_keeps_no_other_out(store: Store, tmp_path: Path) -> None:
    bad, gone, lies = made([b"bad"]), made([b"gone"]), made([b"lies"])
    folder = layout(tmp_path / "layout", {"a": bad, "b": gone, "c": OURS, "d": ARM, "e": index(ARM), "f": lies})
    blobs = folder / "blobs" / "sha256"
    (blobs / sha256(b"bad")).write_bytes(b"dab")
    (blobs / sha256(b"gone")).unlink()
    config = lies.blobs[0]
    (blobs / sha256(config)).write_bytes(config.replace(b"amd64", b"arm64"))
    result = taken(store, folder)
    assert [one.name for one in result.images] == ["c"]
    assert {name: why.rpartition(": ")[2] for name, why in result.problems.items()} == {
        "a": f"blob sha256:{sha256(b'bad')} is damaged",
        "b": f"blobs/sha256/{sha256(b'gone')} is missing",
        "d": "d is an image for linux/arm64, not for linux/amd64",
        "e": "e has no image for linux/amd64; it has linux/arm64",
        "f": f"blob sha256:{sha256(config)} is damaged",
    }


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"index.json": b"[]"}, "does not list images"),
        ({"index.json": b'{"manifests": [1]}'}, "does not list images"),
        ({"index.json": b"{"}, "is no JSON"),
        ({"index.json": bytes((4 << 20) + 1)}, "more than 4194304 bytes"),
        ({"manifest.json": b"{}"}, "does not list images"),
        ({"other": b""}, "these are no images"),
        ({"index.json": "index.json"}, "these are no images"),
    ],
)
def test_what_holds_no_images_is_told(store: Store, tmp_path: Path, files: dict[str, bytes | str], said: str) -> None:
    with pytest.raises(AssembleError, match=said):
        taken(store, saved(tmp_path / "x.tar", files))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"manifest.json": b'[{"Config": "c", "Layers": 5, "RepoTags": null}]'}, "lists no layers"),
        ({"manifest.json": b'[{"Config": "none.json", "Layers": []}]'}, "none.json is missing"),
        ({f"{0:064x}/layer.tar": b"other bytes"}, "is not what its config says"),
        ({"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}, "is missing"),
    ],
)
def test_an_archive_of_docker_that_is_damaged_says_where(
    store: Store, tmp_path: Path, change: dict[str, bytes | str], said: str
) -> None:
    result = taken(store, saved(tmp_path / "x.tar", docker_saved(TAR) | change))
    assert not result.images and said in next(iter(result.problems.values()))


def test_a_file_that_is_no_tar_or_is_cut_short_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tar")
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(os.urandom(5000))[:1000])
    for file in ("text", "cut.tar.gz", "nothing"):
        with pytest.raises(AssembleError, match="neither a folder nor a whole tar"):
            taken(store, tmp_path / file)
    whole = saved(tmp_path / "whole.tar", docker_saved(os.urandom(40_000)))
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(AssembleError):
        taken(store, whole)
    (tmp_path / "z").write_bytes(zstd(whole.read_bytes())[:-1])
    with pytest.raises(AssembleError, match="neither a folder nor a whole tar"):
        taken(store, tmp_path / "z")


def test_a_tar_packed_by_zstd_is_taken_as_well(store: Store, tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.tar", docker_saved(TAR))
    (tmp_path / "z").write_bytes(zstd(whole.read_bytes()))
    assert taken(store, tmp_path / "z").images == taken(store, whole).images != {}


CONFIG = {"os": "linux", "architecture": "amd64", "config": {}}
ROOT = {"type": "layers", "diff_ids": [f"sha256:{sha256(TAR)}"]}
LIES: dict[str, tuple[Json, bytes, str]] = {
    "another layer": ({"rootfs": ROOT | {"diff_ids": [f"sha256:{'0' * 64}"]}}, TAR, "is not what its config says"),
    "one layer too many": ({"rootfs": ROOT | {"diff_ids": ROOT["diff_ids"] * 2}}, TAR, "does not say what its layers"),
    "no layers": ({}, TAR, "does not say what its layers are"),
    "a layer that is cut off": ({"rootfs": ROOT}, gzip.compress(TAR)[:-9], "cannot be unpacked"),
    "a layer with something behind it": ({"rootfs": ROOT}, gzip.compress(TAR) + b"more", "cannot be unpacked"),
    "an environment that is a number": ({"rootfs": ROOT, "config": {"Env": 5}}, TAR, "Env of its config"),
    "a config that is a list": ({"rootfs": ROOT, "config": [1]}, TAR, "of its config"),
}


@pytest.mark.parametrize("kind", LIES)
def test_an_image_that_no_box_could_have_is_told_when_it_is_brought(store: Store, tmp_path: Path, kind: str) -> None:
    """The pass that needs it would have failed."""
    more, layer, words = LIES[kind]
    config = canonical(CONFIG | more)
    rows = [named("application/vnd.oci.image.layer.v1.tar+gzip", layer)]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named(OF_CONFIG, config), "layers": rows}
    lying = Made(canonical(manifest), blobs=(config, layer))
    result = taken(store, layout(tmp_path / "layout", {"lying": lying, "honest": OURS}))
    assert words in result.problems["lying"] and [one.name for one in result.images] == ["honest"]
    assert stored(store, lying.digest.removeprefix("sha256:")) is None


@pytest.mark.parametrize("layers", [None, {"a": 1}, ["x"], 5])
def test_a_manifest_of_other_things_is_told_in_words(store: Store, tmp_path: Path, layers: Json) -> None:
    config = canonical(CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named(OF_CONFIG, config), "layers": layers}
    place = layout(tmp_path / "layout", {"odd": Made(canonical(manifest), blobs=(config,))})
    assert taken(store, place).problems == {"odd": "odd is no image: its manifest lists other things than layers"}


def test_an_index_that_lies_of_a_size_and_one_that_lists_nothing_are_told(store: Store, tmp_path: Path) -> None:
    place = layout(tmp_path / "layout", {"a": OURS})
    listed = json.loads((place / "index.json").read_bytes())
    for size in (5, "5", -1, [5]):
        listed["manifests"][0]["size"] = size
        (place / "index.json").write_text(json.dumps(listed))
        assert "says otherwise" in taken(store, place).problems["a"]
    (place / "index.json").write_text('{"manifests": []}')
    with pytest.raises(AssembleError, match="holds no image"):
        taken(store, place)


def test_an_engine_that_is_away_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="the Docker engine does not give ntp:1") as caught:
        import_images(Elsewhere(Settings(), store), store, "docker:ntp:1", (), f"unix://{tmp_path}/none.sock")
    assert "docker_host" in caught.value.hint


def test_the_command_prints_what_to_name_and_says_what_was_not_taken(tmp_path: Path) -> None:
    folder = layout(tmp_path / "layout", {"ntp": OURS, "arm": ARM})
    state = ("--state", str(tmp_path / "state"))
    done = toweros("image", "import", folder, "ntp", *state)
    assert done.stdout == f"{OURS.digest} ntp\n"
    failed = toweros("image", "import", folder, *state)
    assert failed.stdout == f"{OURS.digest} ntp\n" and failed.exit_code == 1
    assert isinstance(failed.exception, AssembleError)
    assert failed.exception.message == "arm: arm is an image for linux/arm64, not for linux/amd64"


def test_all_who_export_into_one_layout_at_once_are_in_its_list(store: Store, tmp_path: Path) -> None:
    (one,) = taken(store, layout(tmp_path / "layout", {"web/ntp:1": OURS})).images
    cache, names = Cache(store), [f"web/ntp:{number}" for number in range(12)]
    with ThreadPoolExecutor(len(names)) as threads:
        each = [threads.submit(cache.export, [one.digest], tmp_path / "exported", name) for name in names]
        assert [done.exception() for done in each] == [None] * len(names)
    assert OciLayout(tmp_path / "exported").names() == sorted(names)
    assert not [*(tmp_path / "exported").rglob("*.part")]


def test_what_is_exported_is_imported_again_as_it_was(store: Store, tmp_path: Path) -> None:
    """A round trip by a tar into another store: one digest, whoever wrote it."""
    (one,) = taken(store, layout(tmp_path / "layout", {"web/ntp:1": OURS})).images
    cache = Cache(store)
    cache.export([f"sha256:{one.digest}"], tmp_path / "exported", "")
    with (tmp_path / "one.tar").open("wb") as stream:
        as_tar(tmp_path / "exported", stream)
    other = Store.open(tmp_path / "other", migrate=True)
    (again,) = taken(other, tmp_path / "one.tar").images
    assert again.digest == one.digest and again.image == one.image
