"""A fleet repo's locks move forward, all or some source packages alone, against a signed repository on loopback."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from debian.debfile import DebFile

from gitops.builders.apt import Apts, related
from gitops.builders.relocking.relock import Locks, NeedsMoreError, Relocker
from gitops.fleet.packages import load_packages
from gitops.model import LockedFile
from gitops.security.schedule.choice import moves
from tests.kit.debian import Debian
from tests.simulators.tree import DictTree

TREE = {
    "pkg/base/build.yml": "image: base\n",
    "pkg/base/Dockerfile": "FROM scratch\nCOPY debs /debs\n",
    "pkg/base/packages.in": "deb libc6\n",
    "pkg/a/build.yml": "image: a\nbuildArgs: [B=@lkt:pkg:../base]\n",
    "pkg/a/Dockerfile": "ARG B\nFROM ${B}\nCOPY debs /debs\n",
    "pkg/a/packages.in": "deb tool\n",
}


def stock(debian: Debian) -> None:
    """`tool` needs libssl3 (of openssl) and libz (of zlib); all need libc6 (of glibc), which the base holds."""
    debian.add("libc6", "2.40-1", source="glibc")
    debian.add("libssl3", "3.5.7-1", source="openssl", depends="libc6 (>= 2.40)")
    debian.add("libz", "1.0-1", source="zlib", depends="libc6")
    debian.add("tool", "1.0", depends="libssl3 (>= 3.5), libz")


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Debian]:
    with Debian(tmp_path / "mirror", stock) as made:
        monkeypatch.setattr("gitops.builders.apt.mirrors", made.mirrors)
        yield made


def relocker(folder: Path, locks: Locks | None = None, **options: object) -> Relocker:
    tree = DictTree(TREE)
    packages = load_packages(tree, 1, "linux/amd64", [])
    packages = {path: replace(each, lock=(locks or {}).get(path, ())) for path, each in packages.items()}
    return Relocker(Apts(folder / "apt"), tree, packages, **options)  # type: ignore[arg-type]


def versions(locks: Locks) -> dict[str, str]:
    return {file.name: file.version for lock in locks.values() for file in lock}


@pytest.fixture
def locked(tmp_path: Path, debian: Debian) -> Locks:
    return relocker(tmp_path).newest()


OLD = {"libc6": "2.40-1", "libssl3": "3.5.7-1", "libz": "1.0-1", "tool": "1.0"}


def test_nothing_new_moves_nothing(tmp_path: Path, locked: Locks) -> None:
    assert versions(locked) == OLD and [file.name for file in locked["pkg/base"]] == ["libc6"]
    assert relocker(tmp_path, locked).newest() == locked
    assert relocker(tmp_path, locked).only(frozenset({"openssl"})) == locked


def test_one_source_moves_and_the_others_stay_although_they_are_newer(
    tmp_path: Path, debian: Debian, locked: Locks
) -> None:
    debian.add("libssl3", "3.5.9-1", suite="trixie-security", source="openssl", depends="libc6 (>= 2.40)")
    debian.add("libz", "1.1-1", source="zlib", depends="libc6")
    debian.add("libc6", "2.41-1", source="glibc")
    debian.publish()
    ours = relocker(tmp_path, locked)
    assert versions(ours.newest()) == {**OLD, "libssl3": "3.5.9-1", "libz": "1.1-1", "libc6": "2.41-1"}
    assert versions(ours.only(frozenset({"openssl"}))) == {**OLD, "libssl3": "3.5.9-1"}
    assert versions(ours.only(frozenset({"glibc"}))) == {**OLD, "libc6": "2.41-1"}


def test_a_source_that_cannot_move_alone_says_what_it_takes_along(
    tmp_path: Path, debian: Debian, locked: Locks
) -> None:
    debian.add("libssl3", "3.5.9-1", source="openssl", depends="libz (>= 1.1)")
    debian.add("libz", "1.1-1", source="zlib")
    debian.publish()
    ours = relocker(tmp_path, locked)
    with pytest.raises(NeedsMoreError) as caught:
        ours.only(frozenset({"openssl"}))
    assert caught.value.sources == {"zlib"}
    assert versions(ours.only(frozenset({"openssl", "zlib"}))) == {**OLD, "libssl3": "3.5.9-1", "libz": "1.1-1"}


def test_what_stays_is_not_broken(tmp_path: Path, debian: Debian, locked: Locks) -> None:
    """The old tool wants the old library; only the new tool takes the new one."""
    debian.add("tool", "1.1", depends="libssl3 (<< 3.6), libz")
    debian.publish()
    locked = relocker(tmp_path, locked).newest()
    debian.add("libssl3", "3.6-1", source="openssl")
    debian.add("tool", "1.2", depends="libssl3 (>= 3.6), libz")
    debian.publish()
    with pytest.raises(NeedsMoreError) as caught:
        relocker(tmp_path, locked).only(frozenset({"openssl"}))
    assert caught.value.sources == {"tool"}


def test_a_version_that_left_the_mirrors_still_says_what_it_needs(
    tmp_path: Path, debian: Debian, locked: Locks
) -> None:
    kept = debian.add("tool", "1.1", depends="libssl3 (<< 3.6), libz")
    debian.publish()
    locked = relocker(tmp_path, locked).newest()
    control = related(dict(DebFile(str(kept)).debcontrol()))
    debian.withdraw("tool", "1.1")
    debian.add("libssl3", "3.6-1", source="openssl")
    debian.add("tool", "1.2", depends="libssl3 (>= 3.6), libz")
    debian.publish()

    def at_hand(file: LockedFile) -> dict[str, str] | None:
        return control if file.name == "tool" else None

    with pytest.raises(NeedsMoreError):
        relocker(tmp_path, locked, control=at_hand).only(frozenset({"openssl"}))


def test_a_lock_without_sources_is_understood_and_a_package_that_was_built_again_is_no_other(
    tmp_path: Path, debian: Debian, locked: Locks
) -> None:
    """As locks were before they named sources."""
    bare = {path: tuple(replace(file, source="", source_version="") for file in lock) for path, lock in locked.items()}
    debian.add("libssl3", "3.5.9-1", source="openssl", depends="libc6")
    debian.add("libz", "1.0-1+b2", source="zlib (1.0-1)", depends="libc6")
    debian.publish()
    ours = relocker(tmp_path, bare)
    assert versions(ours.only(frozenset({"openssl"}))) == {**OLD, "libssl3": "3.5.9-1"}
    told = {file.name: (file.source, file.source_version) for lock in ours.told(bare).values() for file in lock}
    assert told == {
        "libc6": ("glibc", "2.40-1"),
        "libssl3": ("openssl", "3.5.7-1"),
        "libz": ("zlib", "1.0-1"),
        "tool": ("", ""),
    }
    found = moves(ours.told(bare), ours.told(ours.newest()))
    assert [str(move) for move in found] == ["openssl 3.5.7-1 -> 3.5.9-1"]


def test_what_the_mirrors_have_only_in_an_older_version_stays(tmp_path: Path, debian: Debian, locked: Locks) -> None:
    debian.add("libz", "1.1-1", source="zlib")
    debian.publish()
    newer = relocker(tmp_path, locked).newest()
    debian.withdraw("libz", "1.1-1")
    debian.publish()
    assert relocker(tmp_path, newer).newest() == newer


def test_a_package_with_its_version_in_its_name_is_replaced(tmp_path: Path, debian: Debian, locked: Locks) -> None:
    """As the kernel's: only the one without a version depends on the one that has it."""
    for number in (117, 118):
        debian.add(f"linux-{number}", f"6.12.{number}-1", source="linux-signed")
        debian.add("tool", f"1.{number}", depends=f"linux-{number}, libz", source="linux-signed")
        debian.publish()
        moved = relocker(tmp_path, locked).only(frozenset({"tool", "linux-signed", "openssl"}))
        assert f"linux-{number}" in versions(moved)
        locked = moved
    assert versions(locked) == {"libc6": "2.40-1", "libz": "1.0-1", "tool": "1.118", "linux-118": "6.12.118-1"}


def test_a_new_dependency_comes_along(tmp_path: Path, debian: Debian, locked: Locks) -> None:
    debian.add("libssl3", "3.5.9-1", source="openssl", depends="libc6, legacy")
    debian.add("legacy", "3.5.9-1", source="openssl")
    debian.publish()
    moved = relocker(tmp_path, locked).only(frozenset({"openssl"}))
    assert versions(moved) == {**OLD, "libssl3": "3.5.9-1", "legacy": "3.5.9-1"}
    assert relocker(tmp_path, moved).newest() == moved, "as a whole new lock has it"
