"""LinuxKit YAML as a release of ours, in a folder."""

import hashlib
import json
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import sections
from gitops.errors import AssembleError
from gitops.fleet.linuxkit.files import WorkingFolder
from gitops.fleet.linuxkit.spec import load
from gitops.model import Spec
from gitops.oci.layout import OciLayout
from gitops.workflows.media.release_folder import write_release
from tests.kit import built, linuxkit
from tests.kit.contracts import problems
from tests.kit.images import layout, made
from tests.kit.oci import tar


def spec(text: str) -> Spec:
    found: list[object] = []
    read = load(WorkingFolder({"demo.yml": text.encode()}), ["demo.yml"], found)  # type: ignore[arg-type]
    assert found == []
    return read


@pytest.mark.e2e
def test_a_linuxkit_spec_is_a_release_twice_alike_with_every_digest(tmp_path: Path) -> None:
    for package in ("toolbox", "initrd", "bootloader"):
        built.image(f"pkg/{package}")
    folder = built.kernel()
    kernel = made([tar({"kernel": folder / "kernel", "kernel.tar": folder / "kernel.tar"})])
    init = made([tar({"init": b"#!/bin/sh\n", "proc/": b"", "sys/": b"", "dev/": b"", "run/": b""})])
    places = tar({"dev/": b"", "proc/": b"", "sys/": b""})  # its root is read-only here: nobody makes them
    web = made([linuxkit.layer(), places], config={"Cmd": ["/bin/one"]})
    images = OciLayout(layout(tmp_path / "oci", {"kernel:1": kernel, "init:1": init, "web:1": web}))
    read = spec(linuxkit.SPEC.replace(", tar: none", ""))
    for turn in ("a", "b", "b"):
        (place,) = write_release(tmp_path / turn / "demo-release", built.store(), "demo", read, images)
    files = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert files == {
        str(path.relative_to(tmp_path / "a/demo-release")): path.read_bytes()
        for path in (tmp_path / "a/demo-release").rglob("*")
        if path.is_file()
    }
    manifest, document = json.loads(files.pop("manifest.json")), json.loads(files["release.json"])
    assert (
        problems("release", document) == [] and manifest["release"] == hashlib.sha256(files["release.json"]).hexdigest()
    )
    assert {path: row["sha256"] for path, row in manifest["files"].items()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }
    assert f"toweros.release={manifest['release']}".encode() in sections(files["addon.efi"])[".cmdline"]
    layers = {layer["root"] for layer in document["content"]["root"]}
    layers |= {layer["root"] for each in document["content"]["containers"] for layer in each["layers"]}
    assert {path.removeprefix("layers/") for path in files if path.startswith("layers/")} == layers


def test_what_cannot_be_a_release_says_why(tmp_path: Path) -> None:
    images = OciLayout(linuxkit.system(tmp_path / "oci", kernel=b"K"))
    with pytest.raises(AssembleError, match="a release needs the modules of its kernel"):
        write_release(tmp_path / "x", built.store(), "demo", spec(linuxkit.SPEC), images)
    (tmp_path / "mine").mkdir()
    with pytest.raises(AssembleError, match="is there already, and no release"):
        write_release(tmp_path / "mine", built.store(), "demo", spec(linuxkit.SPEC), images)
