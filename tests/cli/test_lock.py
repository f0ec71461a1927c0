"""`toweros lock` against a signed repository on loopback: what moved, and why something cannot be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.builders.files.download import Patience
from gitops.model import sha256
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.debian import Debian
from tests.kit.servers import BAD, Plain, files, to_file


def stock(debian: Debian) -> None:
    debian.add("libssl3", "3.5.7-1", source="openssl")
    debian.add("tool", "1.0", depends="libssl3")


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Debian]:
    with Debian(tmp_path / "mirror", stock) as made:
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


# --- components, and repositories of other people ---------------------------------------------------------------------


def vendors(debian: Debian) -> None:
    debian.add("tool", "9.0", depends="helper")
    debian.add("helper", "1.0")
    debian.add("libssl3", "99.0")


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Debian]:
    """Somebody's repository with `tool`, newer than Debian's, what that needs, and a `libssl3` of its own."""
    with Debian(tmp_path / "vendor", vendors) as made:
        yield made


def take(fleet: Path, vendor: Debian, *names: str, key: Path | None = None) -> None:
    words = " ".join(f"{name}@vendor" for name in names)
    text = f"source vendor {vendor.url.rstrip('/')} trixie main\ndeb libssl3 {words}\n"
    (fleet / "pkg/a/packages.in").write_text(text)
    (fleet / "keys/apt").mkdir(parents=True, exist_ok=True)
    (fleet / "keys/apt/vendor.asc").write_bytes((key or vendor.key).read_bytes())


def rows(fleet: Path) -> dict[str, list[str]]:
    lines = (fleet / "pkg/a/packages.lock").read_text().splitlines()[1:]
    return {line.split()[1]: line.split() for line in lines}


def test_firmware_is_in_a_component_that_the_package_asks_for(fleet: Path, debian: Debian) -> None:
    debian.add("firmware", "1.0", component="non-free-firmware")
    debian.publish()
    (fleet / "pkg/a/packages.in").write_text("deb firmware\n")
    assert "no package `firmware`" in lock(fleet)
    (fleet / "pkg/a/packages.in").write_text("components non-free-firmware\ndeb firmware\n")
    assert "firmware - -> 1.0" in lock(fleet)
    (fleet / "pkg/a/packages.in").write_text("deb tool\ndeb firmware\n")
    assert "no package `firmware`" in lock(fleet), "another package that does not ask for it does not see it"


def test_a_source_supplies_what_is_named_from_it_and_nothing_else(fleet: Path, debian: Debian, vendor: Debian) -> None:
    take(fleet, vendor, "tool", "helper")
    lock(fleet)
    found = rows(fleet)
    assert found["tool"][2] == "9.0" and found["tool"][5].startswith(f"{vendor.url}pool/")
    assert found["libssl3"][2] == "3.5.7-1" and found["libssl3"][5].startswith("pool/"), "not the source's 99.0"


def test_a_named_package_is_the_sources_though_debians_is_newer_or_has_the_same_version(
    fleet: Path, debian: Debian, vendor: Debian
) -> None:
    take(fleet, vendor, "tool", "helper")
    for version in ("9.0", "10.0"):
        debian.add("tool", version, depends="libssl3 (>= 99)")
        debian.publish()
        lock(fleet)
        assert rows(fleet)["tool"][2] == "9.0" and rows(fleet)["tool"][5].startswith(vendor.url)


def test_what_a_package_of_a_source_needs_of_it_must_be_named(fleet: Path, debian: Debian, vendor: Debian) -> None:
    take(fleet, vendor, "tool")
    assert "tool : Depends: helper but it is not" in lock(fleet)


def test_a_name_that_the_source_does_not_have_is_not_taken_from_debian(
    fleet: Path, debian: Debian, vendor: Debian
) -> None:
    debian.add("other", "1.0")
    debian.publish()
    take(fleet, vendor, "tool", "helper", "other")
    assert "pkg/a/packages.in:2:1: source `vendor` has no package `other`" in lock(fleet)


def test_the_key_of_debian_does_not_vouch_for_a_source(fleet: Path, debian: Debian, vendor: Debian) -> None:
    take(fleet, vendor, "tool", "helper", key=debian.key)
    said = lock(fleet)
    assert "packages.in:1:1: source `vendor` cannot be read" in said and "keys/apt/vendor.asc" in said
    assert not (fleet / "pkg/a/packages.lock").exists()


def test_the_key_of_a_source_does_not_vouch_for_debian(fleet: Path, debian: Debian, vendor: Debian) -> None:
    take(fleet, vendor, "tool", "helper")
    lock(fleet)
    for name in ("InRelease", "Release"):
        data = (vendor.root / "dists/trixie" / name).read_bytes()
        (debian.root / "dists/trixie" / name).write_bytes(data)
    assert "the Debian mirrors cannot be read" in lock(fleet)


def test_a_source_whose_key_has_expired_is_refused(fleet: Path, debian: Debian, vendor: Debian) -> None:
    take(fleet, vendor, "tool", "helper")
    lock(fleet)  # from here on there is an index of yesterday
    vendor.expire()
    take(fleet, vendor, "tool", "helper")
    said = lock(fleet)
    assert "source `vendor` cannot be read" in said and "is keys/apt/vendor.asc the key that signs it today?" in said


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Filename: pool/", b"Filename: ../etc/"), (b"SHA256: ", b"SHAxyz: "), (b"Size: ", b"Size: -")],
)
def test_a_signed_index_that_makes_no_sense_is_refused(
    fleet: Path, debian: Debian, vendor: Debian, old: bytes, new: bytes
) -> None:
    index = vendor.root / "dists/trixie/main/binary-amd64/Packages"
    index.write_bytes(index.read_bytes().replace(old, new))
    vendor.sign()
    take(fleet, vendor, "tool", "helper")
    assert "the index of source `vendor` makes no sense" in lock(fleet)


def test_a_source_that_trickles_is_given_up(
    fleet: Path, debian: Debian, vendor: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitops.builders.sources.LONGEST", 2.0)
    take(fleet, vendor, "tool", "helper")
    with files(tmp_path, BAD["slow"]) as (url, _):
        asked = fleet / "pkg/a/packages.in"
        asked.write_text(asked.read_text().replace(vendor.url.rstrip("/"), url.rstrip("/")))
        assert "source `vendor` cannot be read" in lock(fleet)


def test_what_the_base_has_already_is_not_hidden_by_a_source(fleet: Path, debian: Debian, vendor: Debian) -> None:
    lock(fleet)
    (fleet / "pkg/b").mkdir()
    (fleet / "pkg/a").rename(fleet / "pkg/base")
    (fleet / "pkg/b").rename(fleet / "pkg/a")
    (fleet / "pkg/a/build.yml").write_text("image: a\nbuildArgs: ['BASE=@lkt:pkg:../base']\n")
    (fleet / "pkg/a/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY debs /debs\n")
    take(fleet, vendor, "tool", "helper")
    assert "the base has `tool` already" in lock(fleet)


# --- files by digest --------------------------------------------------------------------------------------------------


KINDS = {**BAD, **dict.fromkeys(("other", "huge", "gone"), Plain)}


def ask(fleet: Path, url: str, data: bytes = b"modem") -> None:
    (fleet / "pkg/a/packages.in").write_text(f"fetch {url} sha256:{sha256(data)} as modem.bin\n")


def test_a_file_by_digest_is_locked_with_its_size_and_kept(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/m.bin").write_bytes(b"modem")
    with files(tmp_path / "web") as (url, asked):
        ask(fleet, f"{url}m.bin")
        assert "fetch modem.bin - -> " in lock(fleet)
        assert rows(fleet)["modem.bin"][3:] == [sha256(b"modem"), "5", f"{url}m.bin"]
        assert "unchanged" in lock(fleet) and asked == ["/m.bin"]
    ask(fleet, "http://127.0.0.1:9/moved.bin")
    lock(fleet)
    assert rows(fleet)["modem.bin"][5] == "http://127.0.0.1:9/moved.bin", "it is known: nobody is asked"
    store = Store.open(fleet.parent / "state")
    assert store.blobs.read(sha256(b"modem")) == b"modem"


def test_a_file_that_is_already_here_needs_no_server(fleet: Path, tmp_path: Path) -> None:
    Store.open(tmp_path / "state", migrate=True).blobs.put(b"modem")
    ask(fleet, "http://127.0.0.1:9/m.bin")
    lock(fleet)
    assert rows(fleet)["modem.bin"][4] == "5"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("other", "other bytes than packages.in says"),
        ("huge", "other bytes than packages.in says, or more than"),
        ("gone", "no place has it"),
        ("slow", "does not answer"),
        ("redirects in a circle", "does not answer"),
        ("to a file", "does not answer"),
    ],
)
def test_a_file_that_cannot_be_had_is_a_mistake_in_its_line(
    fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    monkeypatch.setattr("gitops.builders.inputs.LARGEST", 1 << 20)
    monkeypatch.setattr("gitops.builders.inputs.Patience", lambda **_: Patience(1, 0.4, 0.4, 1 << 24, attempts=1))
    (tmp_path / "modem").write_bytes(b"modem")
    web = tmp_path / "web"
    web.mkdir()
    if kind in ("other", "huge"):
        (web / "m.bin").write_bytes(b"x" if kind == "other" else b"modem" * (1 << 20))
    with files(web, KINDS.get(kind) or to_file(tmp_path / "modem")) as (url, _):
        ask(fleet, f"{url}m.bin")
        said = lock(fleet)
    assert "pkg/a/packages.in:1:1: `modem.bin` cannot be had" in said and words in said
    assert not Store.open(tmp_path / "state").blobs.names()
