"""`toweros lock` against a signed repository on loopback: what moved, and why something cannot be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.console import toweros
from tests.kit.debian import Debian


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Debian]:
    with Debian(tmp_path / "mirror") as made:
        made.add("libssl3", "3.5.7-1", source="openssl")
        made.add("tool", "1.0", depends="libssl3")
        made.publish()
        monkeypatch.setattr("gitops.builders.apt.mirrors", made.mirrors)
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    folder = tmp_path / "fleet" / "pkg" / "a"
    folder.mkdir(parents=True)
    (folder / "build.yml").write_text("image: a\n")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY debs /debs\n")
    (folder / "packages.in").write_text("deb tool\n")
    return tmp_path / "fleet"


def lock(fleet: Path) -> str:
    done = toweros("lock", "--dir", fleet, "--state", fleet.parent / "state")
    return " ".join(f"{done.output}{done.exception or ''}".split())


def test_what_moved_is_said_by_source_package(fleet: Path, debian: Debian) -> None:
    assert "openssl - -> 3.5.7-1" in lock(fleet)
    assert "unchanged" in lock(fleet)
    debian.add("libssl3", "3.5.9-1", suite="trixie-security", source="openssl")
    debian.publish()
    said = lock(fleet)
    assert "openssl 3.5.7-1 -> 3.5.9-1" in said and "tool 1.0" not in said


def test_packages_that_cannot_be_had_together_are_named_with_the_reason(fleet: Path, debian: Debian) -> None:
    debian.add("other", "1.0", depends="libssl3 (>= 4)")
    debian.publish()
    (fleet / "pkg/a/packages.in").write_text("deb tool\ndeb other\n")
    assert "other : Depends: libssl3 (>= 4) but 3.5.7-1 is to be installed" in lock(fleet)


def test_an_index_that_is_not_signed_is_refused(fleet: Path, debian: Debian) -> None:
    lock(fleet)  # from here on there is an index of yesterday
    debian.publish(signed=False)
    assert "no longer signed" in lock(fleet)


def test_an_index_that_was_changed_after_it_was_signed_is_refused(fleet: Path, debian: Debian) -> None:
    lock(fleet)  # from here on there is an index of yesterday
    debian.publish(valid_until="Sat, 01 Jan 2050 00:00:00 UTC")
    debian.change("dists/trixie/InRelease", b"Suite: trixie", b"Suite: trixIe")
    assert "mirrors cannot be read" in lock(fleet)


def test_an_index_of_somebody_else_is_refused(fleet: Path, debian: Debian, tmp_path: Path) -> None:
    lock(fleet)  # from here on there is an index of yesterday
    with Debian(tmp_path / "other") as other:
        debian.keyring.write_bytes(other.keyring.read_bytes())
    debian.publish()
    assert "mirrors cannot be read" in lock(fleet)


def test_an_index_that_has_run_out_is_refused(fleet: Path, debian: Debian) -> None:
    lock(fleet)  # from here on there is an index of yesterday
    debian.publish(valid_until="Sat, 01 Jan 2022 00:00:00 UTC")
    assert "mirrors cannot be read" in lock(fleet)


def test_a_list_that_its_release_does_not_vouch_for_is_refused(fleet: Path, debian: Debian) -> None:
    lock(fleet)  # from here on there is an index of yesterday
    debian.add("tool", "1.1")
    debian.publish()
    debian.change("dists/trixie/main/binary-amd64/Packages", b"Version: 1.1", b"Version: 9.1")
    assert "mirrors cannot be read" in lock(fleet)
