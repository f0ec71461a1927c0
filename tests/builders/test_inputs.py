"""Locked files: once, by their digest only, from the first place that has them; each way to fail has a name."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders.files.download import Patience
from gitops.builders.inputs import MissingInputsError, Why, fetch_all, fetch_inputs
from gitops.builders.places import Places
from gitops.errors import BuildError
from gitops.model import LockedFile, sha256
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load
from tests.kit.rights import humble
from tests.kit.servers import BAD, Detour, Plain, files, silent

DEB = b"not really a Debian package, which nothing here opens"
LOCKED = LockedFile("deb", "thing", "1", sha256(DEB), len(DEB), "pool/thing_1_amd64.deb")
OWN = replace(load(PACKAGES)["pkg/hello"], lock=(LOCKED,))
QUICK = Patience(connect=1, silence=0.4, least=0.4, attempts=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "s")


def put(folder: Path, data: bytes = DEB, path: str = LOCKED.path) -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return folder


def at(*mirrors: str, snapshot: tuple[str, ...] = (), inputs: tuple[str, ...] = ()) -> Places:
    return Places(snapshot, inputs, lambda: mirrors)


def fetched(store: Store, places: Places) -> bool:
    fetch_all(store, [OWN], places, QUICK)
    return store.blobs.read(LOCKED.sha256) == DEB


def test_inputs_come_from_the_mirror_once(tmp_path: Path, store: Store) -> None:
    with files(put(tmp_path / "mirror")) as (url, asked):
        for _ in range(2):
            fetch_inputs(store, OWN, at(url))
    assert store.blobs.read(LOCKED.sha256) == DEB and asked == [f"/{LOCKED.path}"]


@pytest.mark.parametrize("data", [DEB[:-1], DEB + b"x", b"", DEB.upper()])
def test_a_wrong_input_is_refused_and_not_kept(tmp_path: Path, store: Store, data: bytes) -> None:
    with files(put(tmp_path / "mirror", data)) as (url, _), pytest.raises(MissingInputsError) as caught:
        fetch_inputs(store, OWN, at(url))
    assert [each.why for each in caught.value.missing] == [Why.other]
    assert not store.blobs.has(LOCKED.sha256) and not store.blobs.has(sha256(data))


def test_what_left_the_mirror_is_in_a_dated_archive(tmp_path: Path, store: Store) -> None:
    archive = "archive/debian/20261101T000000Z/"
    put(tmp_path / "snapshot", path=archive + LOCKED.path)
    (tmp_path / "mirror").mkdir()
    with files(tmp_path / "mirror") as (mirror, _), files(tmp_path / "snapshot") as (snapshot, _):
        assert fetched(store, at(mirror, snapshot=(snapshot + archive,)))


def test_an_archive_can_be_asked_by_digest(tmp_path: Path, store: Store) -> None:
    put(tmp_path, path=f"by-hash/{LOCKED.sha256}.deb")
    with files(tmp_path) as (url, _):
        assert fetched(store, at(snapshot=(url + "by-hash/{sha256}.deb",)))


@pytest.mark.parametrize("served", [False, True], ids=["a folder", "a URL"])
def test_the_last_place_is_a_mirror_of_ones_own(tmp_path: Path, store: Store, served: bool) -> None:
    own = put(tmp_path / "own", path=f"sha256/{LOCKED.sha256}")
    with files(own) as (url, _):
        assert fetched(store, at(inputs=(url if served else str(own),)))


@contextlib.contextmanager
def _bad(kind: str, folder: Path) -> Iterator[str]:
    if kind == "silent":
        with silent() as url:
            yield url
    elif kind == "away":
        yield "http://127.0.0.1:9/"
    elif kind == "other bytes":
        with files(put(folder / "bad", DEB.upper())) as (url, _):
            yield url
    else:
        with files(folder, BAD[kind]) as (url, _):
            yield url


KINDS = ["silent", "away", "other bytes", *BAD]


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_bad_mirror_the_next_place_is_asked_in_time(tmp_path: Path, store: Store, kind: str) -> None:
    with _bad(kind, tmp_path) as bad, files(put(tmp_path / "good")) as (good, _):
        began = time.monotonic()
        assert fetched(store, at(bad, good))
    assert time.monotonic() - began < 5


def test_a_redirect_to_the_file_is_followed(tmp_path: Path, store: Store) -> None:
    put(tmp_path, path=f"{LOCKED.path}/index.html")  # the server redirects PATH to PATH/
    with files(tmp_path) as (url, _):
        assert fetched(store, at(url))


def test_a_redirect_s_own_body_is_not_waited_for(tmp_path: Path, store: Store) -> None:
    with files(put(tmp_path, path=f"there/{LOCKED.path}"), Detour) as (url, _):
        assert fetched(store, at(url))


def _no_source() -> tuple[str, ...]:
    raise BuildError("apt has no Debian source", hint="add one to /etc/apt/sources.list.d")


def test_without_a_debian_source_the_other_places_are_asked(tmp_path: Path, store: Store) -> None:
    own = str(put(tmp_path / "own", path=f"sha256/{LOCKED.sha256}"))
    assert fetched(store, Places(inputs=(own,), mirrors=_no_source))
    store.blobs.remove(LOCKED.sha256)
    with pytest.raises(MissingInputsError) as caught:
        fetched(store, Places(inputs=(str(tmp_path),), mirrors=_no_source))
    assert "apt has no Debian source: add one to" in caught.value.message
    assert not caught.value.gone, "a mirror may have it: to lock again is no cure"


@pytest.mark.parametrize("trouble", ["while it is read", "at the door"])
def test_a_folder_that_cannot_be_read_is_away_and_the_next_place_is_asked(
    tmp_path: Path, store: Store, trouble: str
) -> None:
    good = put(tmp_path / "good", path=f"sha256/{LOCKED.sha256}")
    bad = put(tmp_path / "bad", path=f"sha256/{LOCKED.sha256}") / "sha256"
    if trouble == "at the door":
        bad.chmod(0)
    else:
        (bad / LOCKED.sha256).unlink()
        (bad / LOCKED.sha256).symlink_to("/proc/self/mem")  # a plain file to stat, and an I/O error to read
    with humble():
        assert fetched(store, at(inputs=(str(bad.parent), str(good))))
        store.blobs.remove(LOCKED.sha256)
        with pytest.raises(MissingInputsError) as caught:
            fetched(store, at(inputs=(str(bad.parent),)))
    assert [each.why for each in caught.value.missing] == [Why.away]


def test_one_message_names_all_that_is_gone_and_what_to_lock_again(tmp_path: Path, store: Store) -> None:
    other = replace(LOCKED, name="other", sha256="ab" * 32, path="pool/other_1_amd64.deb")
    packages = [
        replace(OWN, lock=(LOCKED, other)),
        replace(load(PACKAGES)["pkg/base"], lock=(replace(other, sha256="cd" * 32),)),
    ]
    with files(tmp_path) as (url, _), pytest.raises(MissingInputsError) as caught:
        fetch_all(store, packages, at(url, inputs=(str(tmp_path),)), QUICK)
    assert caught.value.gone
    assert caught.value.message.startswith("3 locked files") and caught.value.message.count("_1_amd64.deb") == 3
    assert "`toweros lock pkg/hello pkg/base`" in caught.value.hint


VENDORS = replace(LOCKED, path="http://127.0.0.1:9/pool/thing_1_amd64.deb")
FETCHED = replace(VENDORS, kind="fetch")


@pytest.mark.parametrize("file", [VENDORS, FETCHED], ids=["somebody's package", "a file by digest"])
def test_what_is_not_debians_is_asked_of_its_own_address_and_of_who_goes_by_digest(
    tmp_path: Path, store: Store, file: LockedFile
) -> None:
    put(tmp_path / "vendor")
    put(tmp_path / "own", path=f"sha256/{LOCKED.sha256}")
    (tmp_path / "mirror").mkdir()
    with files(tmp_path / "vendor") as (url, _), files(tmp_path / "mirror") as (mirror, asked):
        there = replace(file, path=f"{url}{LOCKED.path}")
        fetch_all(store, [replace(OWN, lock=(there,))], at(mirror, snapshot=(mirror,)), QUICK)
        assert store.blobs.has(LOCKED.sha256) and asked == []
        store.blobs.remove(LOCKED.sha256)
        fetch_all(store, [replace(OWN, lock=(file,))], at(mirror, inputs=(str(tmp_path / "own"),)), QUICK)
        assert store.blobs.has(LOCKED.sha256) and asked == []


def test_a_file_by_digest_that_is_gone_is_not_locked_again(tmp_path: Path, store: Store) -> None:
    with files(tmp_path) as (url, _), pytest.raises(MissingInputsError) as caught:
        fetch_all(store, [replace(OWN, lock=(replace(FETCHED, path=f"{url}m.bin"),))], at(), QUICK)
    assert caught.value.gone and caught.value.packages == ()
    assert "packages.in" in caught.value.hint and "toweros lock" not in caught.value.hint


def test_a_mirror_that_is_away_is_no_reason_to_lock_again(store: Store) -> None:
    with pytest.raises(MissingInputsError) as caught:
        fetch_all(store, [OWN], at("http://127.0.0.1:9/"), QUICK)
    assert not caught.value.gone and "lock" not in caught.value.hint


def test_a_mirror_that_is_silent_is_given_up_after_a_few_files(tmp_path: Path, store: Store) -> None:
    many = tuple(replace(LOCKED, sha256=f"{n:064x}", path=f"pool/{n}.deb") for n in range(60))
    began = time.monotonic()
    with silent() as url, pytest.raises(MissingInputsError, match="and 40 more"):
        fetch_all(store, [replace(OWN, lock=many)], at(url), QUICK)
    assert time.monotonic() - began < 4


def test_a_wheel_that_left_the_index_is_in_a_mirror_of_ones_own(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = LockedFile("wheel", "thing", "1", sha256(DEB), len(DEB), "thing-1-py3-none-any.whl")
    own = put(tmp_path / "own", path=f"sha256/{wheel.sha256}")
    (tmp_path / "index").mkdir()
    with files(tmp_path / "index") as (index, _):
        monkeypatch.setenv("PIP_INDEX_URL", index)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        fetch_all(store, [replace(OWN, lock=(wheel,))], at(inputs=(str(own),)), QUICK)
    assert store.blobs.read(wheel.sha256) == DEB


def test_no_password_of_a_netrc_is_sent_to_a_host_that_a_lock_names(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[str | None] = []

    class Handler(Plain):
        def do_GET(self) -> None:  # noqa: N802
            heads.append(self.headers.get("Authorization"))
            super().do_GET()

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with files(put(tmp_path / "vendor"), Handler) as (url, _):
        there = replace(LOCKED, path=f"{url}{LOCKED.path}")
        fetch_all(store, [replace(OWN, lock=(there,))], at(), QUICK)
    assert heads == [None]
