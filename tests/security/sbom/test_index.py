"""A locked file is opened once ever, and what is remembered of it is what would be found again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.model import LockedFile
from gitops.security.sbom import index
from gitops.security.sbom.index import Index
from gitops.security.sbom.parts import parts
from gitops.store import Store
from gitops.store.notes.documents import PartIndex
from tests.kit.debs import copyright_of, deb, locked, wheel


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "s")
    with store.lease.held():
        yield store


@pytest.fixture
def lock(store: Store, tmp_path: Path) -> tuple[LockedFile, ...]:
    text = {"usr/share/doc/base/copyright": copyright_of("ISC").encode(), "etc/os-release": b"ID=\xff"}
    own = {"usr/lib/own": b"own", "usr/share/doc/own": "base"}
    pure = wheel("thing", {"thing.py": b"x = 1"}, "License-Expression: MIT")
    return locked(store, deb(tmp_path, "base", text), deb(tmp_path, "own", own), pure)


def contents(found: list[index.Part]) -> list[object]:
    return [(each.component, {p: (c.sha256, c.size) for p, c in each.files.items()}, each.opened) for each in found]


def test_it_is_opened_once_and_the_same_is_said_ever_after(
    store: Store, lock: tuple[LockedFile, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents(Index(store).parts(lock))
    assert first == contents(parts(lock, store.blobs.path)) and first[1][0].licences == ("ISC",)  # type: ignore[index]
    with monkeypatch.context() as patch:
        patch.setattr(index, "part", lambda *_: pytest.fail("opened again"))
        assert contents(Index(store).parts(lock)) == first


def test_one_file_can_be_debians_and_somebody_elses(store: Store, lock: tuple[LockedFile, ...]) -> None:
    Index(store).parts(lock)
    theirs = replace(lock[0], path="https://packages.example/base.deb")
    assert Index(store).parts([theirs])[0].component.distribution == "packages.example"
    assert Index(store).parts([lock[0]])[0].component.distribution == ""


@pytest.mark.parametrize("how", ["lost", "damaged", "of another format"])
def test_what_is_remembered_wrongly_is_read_again(store: Store, lock: tuple[LockedFile, ...], how: str) -> None:
    first = contents(Index(store).parts(lock))
    note = store.notes.get(PartIndex, lock[0].sha256)
    assert note
    if how == "lost":
        store.blobs.remove(note.sha256)
    elif how == "damaged":
        store.blobs.path(note.sha256).write_bytes(b'{"component": 7}')
    else:
        store.notes.put(replace(note, sha256=store.blobs.put(b"{}").sha256, format=0), lock[0].sha256)
    assert contents(Index(store).parts(lock)) == first
    assert store.notes.get(PartIndex, lock[0].sha256) == note


def test_what_cannot_be_opened_is_tried_again_and_nothing_is_written_where_nothing_may_be(
    store: Store, lock: tuple[LockedFile, ...]
) -> None:
    data = store.blobs.read(lock[0].sha256)
    store.blobs.path(lock[0].sha256).write_bytes(b"damaged")
    assert not Index(store).parts(lock)[0].opened
    store.blobs.path(lock[0].sha256).write_bytes(data)
    assert Index(store, remember=False).parts(lock)[0].opened and store.notes.get(PartIndex, lock[0].sha256) is None
