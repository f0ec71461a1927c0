"""LinuxKit's root tree for the layered release, and what one container is told to be."""

import gzip
import io
import json
import tarfile

import pytest

from gitops.assemble.formats.tar import write
from gitops.assemble.root.runtime_spec import describe
from gitops.assemble.root.tree import Root, TreeEntry, container_mounts, file_layer, layout, tree_layer
from gitops.errors import AssembleError
from gitops.model import Container, Image, Spec, sha256
from gitops.oci.layout import OciLayout
from tests.kit.images import zstd

IMAGES = {name: Image(name, "", {"Cmd": ["run"]}, ()) for name in ("a", "b")}


def spec(**said):
    return Spec(**{"kernel": "", "cmdline": "", **said})


def members(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {m.name: (m, archive.extractfile(m).read() if m.isreg() else b"") for m in archive}


def config(settings, image=None, **said):
    return describe(Container("c", "i", settings), image or {}, **{"volumes": {}, "ids": {}, **said})


@pytest.mark.parametrize("readonly", [{}, {"readonly": False}, {"readonly": True}])
@pytest.mark.parametrize("more", [{}, {"image": "b"}, {"format": "filesystem", "platforms": ["linux/amd64"]}])
def test_every_volume_has_linuxkits_folders_and_is_bound_where_they_come_together(readonly, more):
    """In LinuxKit's order, whether it may be written to or not, with and without an image."""
    container = Container("c", "a", {"binds": ["data:/data:ro"]})
    said = spec(volumes=({"name": "data", **readonly, **more},), services=(container,))
    above = ["containers", "containers/volumes", "containers/volumes/data"]
    below = [f"containers/volumes/data/{name}" for name in ("lower", "tmp", "merged")]
    entries = [item for item in layout(said, IMAGES) if item.path in (*above[2:], *below)]
    folders = [item for item in entries if isinstance(item, TreeEntry)]
    assert [(item.path, item.type, item.mode, item.uid, item.gid) for item in folders] == [
        (path, "dir", 0o755, 0, 0) for path in (*above[2:], *below)
    ]
    assert [item.image for item in entries if isinstance(item, Root)] == (["b"] if "image" in more else [])
    config = json.loads(members(tree_layer(said, IMAGES))["containers/services/c/config.json"][1])
    (mount,) = [each for each in config["mounts"] if each["destination"] == "/data"]
    assert mount["source"] == "/containers/volumes/data/merged" and "ro" in mount["options"]


def test_containers_of_one_image_share_the_first_ones_root():
    said = spec(
        onboot=(Container("one", "a"), Container("two", "a", {"readonly": True})),
        services=(Container("three", "a"), Container("four", "b", {"readonly": True})),
    )
    assert container_mounts(said, IMAGES) == [("onboot/000-one", "lower", "a"), ("services/four", "rootfs", "b")]
    tree = members(tree_layer(said, IMAGES))
    runtime = json.loads(tree["containers/onboot/001-two/runtime.json"][1])
    assert runtime["mounts"] == [
        {
            "source": "/containers/onboot/000-one/lower",
            "destination": "/containers/onboot/001-two/rootfs",
            "options": ["bind"],
        }
    ]
    assert "containers/onboot/001-two/rootfs" in tree
    assert "containers/services/three/tmp" in tree
    assert "containers/services/three/lower" not in tree


def test_every_mount_point_is_in_the_tree_layer():
    said = spec(
        services=(Container("x", "a"), Container("y", "b", {"readonly": True})),
        volumes=({"name": "v", "image": "a"}, {"name": "empty"}, {"name": "fixed", "readonly": True}),
    )
    tree = members(tree_layer(said, IMAGES))
    for path, target, _ in container_mounts(said, IMAGES):
        assert tree[f"containers/{path}/{target}"][0].isdir()
    assert "containers/volumes/empty/merged" in tree
    assert "containers/volumes/fixed/merged" in tree, "as LinuxKit has it"


def test_the_tree_layer_is_sorted_timeless_and_the_same_every_time():
    said = spec(
        services=(Container("x", "a"),), files=({"path": "etc/z", "contents": ""}, {"path": "etc/a", "contents": ""})
    )
    tar = tree_layer(said, IMAGES)
    tree = members(tar)
    assert tar == tree_layer(said, IMAGES)
    assert [name.split("/") for name in tree] == sorted(name.split("/") for name in tree)
    assert {m.mtime for m, _ in tree.values()} == {0}


def test_a_secret_file_does_not_close_the_folders_above_it():
    tree = members(file_layer(({"path": "etc/ssh/key", "contents": "k"}, {"path": "root", "directory": True})))
    assert tree["etc/ssh/key"][0].mode == 0o600
    assert tree["etc/ssh"][0].mode == 0o755
    assert tree["root"][0].mode == 0o700


def test_names_are_numbers_from_100_over_onboot_onshutdown_services():
    said = spec(
        onboot=(Container("one", "a"),),
        onshutdown=(Container("two", "a"),),
        services=(Container("three", "a", {"uid": "three", "additionalGids": ["two", 7]}),),
        files=({"path": "f", "contents": "", "uid": "three"},),
    )
    tree = members(tree_layer(said, IMAGES))
    user = json.loads(tree["containers/services/three/config.json"][1])["process"]["user"]
    assert user == {"uid": 102, "gid": 0, "additionalGids": [101, 7]}
    assert tree["f"][0].uid == 102
    with pytest.raises(AssembleError, match="nobody"):
        list(layout(spec(files=({"path": "f", "contents": "", "gid": "nobody"},)), {}))


def test_yaml_wins_over_the_label_and_the_label_over_the_image():
    label = json.dumps({"env": ["A=label"], "binds": ["/l:/l"], "runtime": {"mkdir": ["/l"], "namespace": "l"}})
    image = {"Env": ["A=image"], "Entrypoint": ["e"], "Cmd": ["c"], "Labels": {"org.mobyproject.config": label}}
    said, runtime = config({"binds.add": ["/y:/y:ro"], "runtime": {"mkdir": ["/y"]}}, image)
    assert said["process"]["env"] == ["A=label"]
    assert said["process"]["args"] == ["e", "c"]
    assert {"/l", "/y"} < {mount["destination"] for mount in said["mounts"]}
    assert (runtime["mkdir"], runtime["namespace"]) == (["/y"], "l")


def test_namespaces_limits_and_devices():
    said, _ = config(
        {
            "net": "/run/netns/x",
            "pid": "host",
            "uts": "new",
            "rlimits": ["nofile, 1, unlimited"],
            "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2, "mode": "0600"}],
        }
    )
    assert said["linux"]["namespaces"] == [
        {"type": "network", "path": "/run/netns/x"},
        {"type": "uts"},
        {"type": "mount"},
    ]
    assert said["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2**64 - 1}]
    assert said["linux"]["devices"][0]["fileMode"] == 0o600


@pytest.mark.parametrize("settings", [{"binds": ["gone:/x"]}, {"uid": "gone"}, {"capabilities": ["CAP_FLY"]}])
def test_what_the_runtime_has_no_word_for_is_refused(settings):
    with pytest.raises(AssembleError, match="container"):
        config(settings)


def test_a_label_that_linuxkit_would_refuse_is_refused():
    for label in ('{"devices": [{"type": "c"}]}', '{"readOnly": true}', "no JSON"):
        with pytest.raises(AssembleError, match="the label org"):
            config({}, {"Labels": {"org.mobyproject.config": label}})


def make_layout(folder, layers, media="application/vnd.oci.image.layer.v1.tar"):
    """An OCI layout with one image `x`."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data):
        (blobs / sha256(data)).write_bytes(data)
        return {"digest": f"sha256:{sha256(data)}", "size": len(data)}

    found = [put(data) | {"mediaType": media} for data in layers]
    manifest = put(json.dumps({"config": put(b'{"config":{}}'), "layers": found}).encode())
    named = manifest | {"annotations": {"org.opencontainers.image.ref.name": "x"}}
    (folder / "index.json").write_text(json.dumps({"manifests": [named]}))
    return OciLayout(folder)


def tar(*infos):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, data, kind in infos:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = "" if kind == tarfile.REGTYPE else data.decode()
            archive.addfile(info, io.BytesIO(data) if info.size else None)
    return output.getvalue()


def test_an_images_layers_are_merged_into_the_tar(tmp_path):
    below = tar(("bin/a", b"1", tarfile.REGTYPE), ("bin/b", b"bin/a", tarfile.LNKTYPE), ("gone", b"", tarfile.REGTYPE))
    above = tar(("./bin/c", b"2", tarfile.REGTYPE), (".wh.gone", b"", tarfile.REGTYPE))
    layers = [gzip.compress(below), zstd(above)]
    images = make_layout(tmp_path, layers, "application/vnd.oci.image.layer.v1.tar+gzip")
    output = io.BytesIO()
    write(spec(services=(Container("s", "x"),)), images, output)
    found = members(output.getvalue())
    root = "containers/services/s/lower"
    assert found[f"{root}/bin/c"][1] == b"2"
    assert found[f"{root}/bin/b"][0].linkname == f"{root}/bin/a"
    assert f"{root}/gone" not in found


def test_modules_go_where_the_links_of_init_lead(tmp_path):
    """A kernel from elsewhere has lib/modules; in most systems /lib is a link."""
    modules = tar(("lib/", b"", tarfile.DIRTYPE), ("lib/modules/a.ko", b"A", tarfile.REGTYPE))
    image = tar(
        ("kernel", b"K", tarfile.REGTYPE),
        ("kernel.tar", modules, tarfile.REGTYPE),
        ("usr/lib/", b"", tarfile.DIRTYPE),
        ("lib", b"usr/lib", tarfile.SYMTYPE),
    )
    output = io.BytesIO()
    write(Spec(kernel="x", cmdline="", init=("x",)), make_layout(tmp_path, [image]), output)
    found = members(output.getvalue())
    assert found["usr/lib/modules/a.ko"][1] == b"A"
    assert found["lib"][0].issym() and "lib/modules/a.ko" not in found


def test_a_damaged_or_missing_image_is_told(tmp_path):
    images = make_layout(tmp_path, [tar(("a", b"1", tarfile.REGTYPE))])
    with pytest.raises(AssembleError, match="no image y"):
        images.layers("y", tmp_path)
    for blob in (tmp_path / "blobs" / "sha256").iterdir():
        if blob.stat().st_size > 2000:
            blob.write_bytes(b"x")
    with pytest.raises(AssembleError, match="damaged"):
        images.layers("x", tmp_path)
    with pytest.raises(AssembleError, match="no OCI layout"):
        OciLayout(tmp_path / "nowhere")
