"""An image that somebody else made holds what its databases say, and what they do not say is never nothing."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.model import Ecosystem, Inventory
from gitops.security.sbom.foreign import of_image
from tests.kit.oci import File, tar

STATUS = b"""Package: libssl3
Status: install ok installed
Source: openssl (3.0.1-1)
Version: 3.0.1-1+b1

Package: removed
Status: deinstall ok config-files
Version: 1

Package: half
Status: install reinstreq half-installed
Version: 2
"""
APK = b"C:Q1x\nP:libcrypto3\nV:3.1.4-r0\no:openssl\nL:Apache-2.0\n\nP:musl\nV:1.2-r1\n"
DEBIAN = {"etc/os-release": b"ID=debian\nVERSION_ID=12\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def look(folder: Path, *layers: Mapping[str, File] | bytes) -> Inventory:
    paths = []
    for number, layer in enumerate(layers):
        paths.append(folder / f"layer{number}")
        paths[-1].write_bytes(layer if isinstance(layer, bytes) else tar(layer))
    return of_image("x", paths)


def test_dpkg_lists_what_is_installed_with_its_source(folder: Path) -> None:
    found = look(folder, gzip.compress(tar({**DEBIAN, "var/lib/dpkg/status": STATUS})))
    assert [(each.name, each.source, each.source_version, each.distribution) for each in found.components] == [
        ("half", "half", "2", "debian:12"),
        ("libssl3", "openssl", "3.0.1-1", "debian:12"),
    ], "half-installed files are there"
    assert found.unread == ()


def test_distroless_images_have_a_file_for_each_package(folder: Path) -> None:
    layer: dict[str, File] = {"var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12\n"}
    assert [each.name for each in look(folder, layer).components] == ["base-files"]


def test_alpine_lists_origin_and_licence(folder: Path) -> None:
    found = look(folder, {"lib/apk/db/installed": APK, "etc/os-release": b"ID=alpine\nVERSION_ID=3.19.1\n"})
    first = found.components[0]
    assert (first.ecosystem, first.source, first.licences) == (Ecosystem.alpine, "openssl", ("Apache-2.0",))
    assert [each.name for each in found.components] == ["libcrypto3", "musl"] and found.unread == ()


def test_the_upper_layers_database_counts_and_a_whiteout_takes_it_away(folder: Path) -> None:
    older, newer = STATUS, STATUS.replace(b"Version: 3.0.1-1+b1", b"Version: 3.0.2-1")
    layers = [{"var/lib/dpkg/status": older}, {"var/lib/dpkg/status": newer}]
    assert "3.0.2-1" in [each.version for each in look(folder, *layers).components]
    assert "unknown inside" in look(folder, *layers, {"var/lib/dpkg/.wh.status": b""}).unread[0]
    assert "unknown inside" in look(folder, *layers, {"var/lib/.wh.dpkg": b""}).unread[0]
    assert "unknown inside" in look(folder, *layers, {"var/lib/dpkg/.wh..wh..opq": b""}).unread[0]


def test_an_image_without_a_database_is_unknown_and_not_empty(folder: Path) -> None:
    assert look(folder, {"app": b"\x7fELF"}).unread == ("x: unknown inside: no database of packages that we read",)


@pytest.mark.parametrize("path", ["var/lib/dpkg/status", "var/lib/dpkg/status.d/base.md5sums", "lib/apk/db/installed"])
def test_a_database_that_lists_nothing_makes_nothing_clean(folder: Path, path: str) -> None:
    found = look(folder, {"usr/bin/app": b"\x7fELF", path: b""})
    assert found.unread == ("x: unknown inside: no database of packages that we read",)


def test_rpm_and_a_layer_in_another_compression_are_said_to_be_unread(folder: Path) -> None:
    found = look(folder, {"var/lib/rpm/rpmdb.sqlite": b"SQLite format 3"}, b"\x28\xb5\x2f\xfd rest")
    assert [text.split(": ", 1)[1] for text in found.unread] == [
        "layer layer1 cannot be read: ReadError",
        "the rpm database var/lib/rpm/rpmdb.sqlite is not read: it is no SQLite database",
        "unknown inside: no database of packages that we read",
    ]


def test_python_packages_are_listed_but_not_those_of_the_distribution(folder: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: requests\nVersion: 2.1\n"
    layer = {
        "var/lib/dpkg/status": STATUS,
        "usr/local/lib/python3.12/site-packages/requests-2.1.dist-info/METADATA": metadata,
        "usr/local/lib/python3.13/dist-packages/six-1.dist-info/METADATA": metadata.replace(b"requests", b"six"),
        "opt/venv/lib/python3.13/site-packages/old-1.egg-info": metadata.replace(b"requests", b"old"),
        "usr/lib/python3/dist-packages/other-1.dist-info/METADATA": metadata.replace(b"requests", b"other"),
    }
    found = look(folder, layer)
    pypi = [each.name for each in found.components if each.ecosystem is Ecosystem.pypi]
    assert pypi == ["old", "requests", "six"]
