"""A controller on a machine that fails it: each fault is told in words, nothing is lost, and the next pass ends where
it would have ended without it, to the byte.

The faults are the kernel's own where it can make them: a file system that is full or read-only, system calls that
answer EIO (strace injects it); and what Python would say of any write of a pass.
"""

import errno
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import ProcessError, PublishError, StoreError, TowerosError, readable
from gitops.model import Happened
from gitops.publish.clock import AHEAD
from gitops.sign import secureboot
from gitops.store import Store
from gitops.store.lease import Holder
from gitops.store.notes.documents import Status
from gitops.store.notes.restored import RightClock
from gitops.workflows.journal import Journal
from gitops.workflows.safekeeping.scrub import Scrubber
from tests.kit.edges import Edges
from tests.kit.published import published, shared_keys, table_rows
from tests.kit.remote import Remote
from tests.kit.site import HELLO, Site

DAY = 86400
TOWEROS = Path(sys.executable).parent / "toweros"
FAULTS = (errno.EIO, errno.ENOSPC, errno.EROFS)


@pytest.fixture
def same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment, and one signature for each boot file."""
    now = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(secureboot, "_sbsign", functools.cache(secureboot._sbsign))
    monkeypatch.setattr("gitops.store.lease.RENEW", 999.0)  # no write while a copy is taken
    monkeypatch.setattr(Holder, "gone", lambda _: True)


def left(site: Site) -> dict[str, object]:
    store = site.store
    assert all(store.whole(each) for each in store.offers.each())
    return {**published(site.settings.state), **table_rows(store, ("publications", "candidates", "images", "layers"))}


def error(site: Site) -> str:
    """What the status has for people."""
    return (site.store.notes.get(Status) or Status()).error


@pytest.fixture
def due(site: Site, tmp_path: Path, same_bytes: None) -> tuple[Site, dict[str, object]]:
    """A site whose next pass has something to do, and what that pass leaves when nothing goes wrong."""
    site.run()
    for box in site.offers():
        site.report(box)
    kept = tmp_path / "kept"
    shutil.copytree(site.settings.state, kept)
    site.commit({**HELLO, "boxes/d.yaml": "role: vm\n"})
    site.run()
    wanted = left(site)
    shutil.rmtree(site.settings.state)
    shutil.copytree(kept, site.settings.state)
    return site, wanted


def test_a_disk_that_fails_at_any_write_is_told_in_words_and_what_was_done_is_kept(
    due: tuple[Site, dict[str, object]],
) -> None:
    """Each pass gets one write further than the one before it, and goes on from what that one left."""
    site, wanted = due
    for limit in itertools.count():
        count, number = itertools.count(), FAULTS[limit % len(FAULTS)]

        def fail(edge: str, count: Iterator[int] = count, limit: int = limit, number: int = number) -> None:
            """What is bad stays bad. (What SQLite would say comes by another way.)"""
            if next(count) >= limit:
                why = OSError(number, os.strerror(number), edge)
                raise readable(why) if edge == "commit" else why

        try:
            with Edges(site.settings.state).at(fail):
                site.run()
            if next(count) <= limit:
                break
        except TowerosError as caught:
            assert os.strerror(number) in caught.message and caught.hint, caught.message
            assert "unexpected" not in caught.message
    site.run()
    assert limit > 8 and left(site) == wanted and error(site) == ""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nobody here may mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_state_folder_that_is_full_or_read_only_loses_nothing(
    due: tuple[Site, dict[str, object]], small: Path, how: str
) -> None:
    site, wanted = due
    there = Site(site.folder, site.remote, site.settings.model_copy(update={"state": small / "state"}))
    shutil.copytree(site.settings.state, there.settings.state)
    before, filler = published(there.settings.state), small / "filler"
    if how == "full":
        with filler.open("wb", 0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(1 << 12))
    else:
        remount(small, "ro")
    controller, store, _ = there.start()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"full|readonly|[Rr]ead-only|No space") as caught, store.lease.held():
            controller.run_once()
        assert caught.value.hint and published(there.settings.state) == before
    filler.unlink() if how == "full" else remount(small, "rw")
    with store.lease.held():
        controller.run_once()  # the same process goes on
    assert left(there) == wanted and error(there) == ""


def test_the_kernel_itself_says_that_the_disk_is_bad(tmp_path: Path) -> None:
    """The whole program, as the operator runs it: every sync fails; then SQLite finds no room for anything."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "true"], capture_output=True).returncode:
        pytest.skip("there is no strace that may trace")
    remote, config = Remote(tmp_path), tmp_path / "toweros.toml"
    (remote.work / "fleet.yaml").write_text("source: {branch: main}\n")
    remote.commit("one")
    said = {"state": str(tmp_path / "state"), "keys": str(shared_keys()), "repository": str(remote.bare)}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()))
    apply = [TOWEROS, "apply", "-c", config]
    for call, number in (("fsync,fdatasync", "EIO"), ("pwrite64", "ENOSPC")):
        inject = [strace, "-qq", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call}"]
        inject += ["-e", f"inject={call}:error={number}"]
        bad = subprocess.run([*inject, *apply], capture_output=True, text=True)
        assert bad.returncode == 1 and "Traceback" not in bad.stderr and "hint:" in bad.stderr, bad.stderr
        assert any(words in bad.stderr for words in ("disk I/O error", "Input/output error", "full")), bad.stderr
    good = subprocess.run(apply, capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    assert "1.root.json" in published(tmp_path / "state")


def test_a_builder_that_hangs_or_dies_is_told_and_built_anew(due: tuple[Site, dict[str, object]]) -> None:
    site, wanted = due
    for why in ("buildah took longer than 3600 s and was ended", "buildah failed (-9)"):
        controller, store, builder = site.start()

        def ends(*_: object, why: str = why) -> None:
            raise ProcessError(why, hint="look at the build's log")

        builder.build = ends  # type: ignore[method-assign,assignment]
        with store.lease.held(), pytest.raises(ProcessError, match="buildah"):
            controller.run_once()
        assert error(site) == why
    site.run()
    assert left(site) == wanted and error(site) == ""


@pytest.mark.parametrize("kind", ["blob", "layer"])
def test_what_the_disk_forgot_is_found_told_and_made_again(site: Site, same_bytes: None, kind: str) -> None:
    site.run()
    wanted, store = left(site), site.store
    publication = store.offers.published("a")
    assert publication
    name = publication.addon.sha256 if kind == "blob" else publication.release.layers()[0].root
    path = (store.blobs if kind == "blob" else store.layers).path(name)
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    Scrubber(store, Journal(store)).scrub()
    (event,) = [each for each in store.events.latest() if each.reason == Happened.DAMAGED]
    assert name in event.message and not path.exists()
    site.run()
    assert left(site) == wanted and path.read_bytes() == data
    Scrubber(store, Journal(store)).scrub()
    assert [each.reason for each in store.events.latest(limit=99)].count(Happened.DAMAGED) == 1


def test_a_little_is_read_at_a_time_and_everything_in_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    store, read = site.store, list[str]()
    monkeypatch.setattr("gitops.workflows.safekeeping.scrub.PORTION", 1)
    monkeypatch.setattr(
        "gitops.workflows.safekeeping.scrub._digest", lambda path, is_layer: read.append(path.name) or path.name
    )
    scrubber = Scrubber(store, Journal(store))
    names = {name for made in store.offers.made() for name in (*made.blobs, *made.layers)}
    for _ in names:
        scrubber.scrub()
    assert len(read) == len(names) and {*read} == names
    scrubber.scrub()
    assert len(read) == len(names) + 1, "and begins again"


def test_a_damaged_database_is_found_at_the_start_with_the_way_back(site: Site) -> None:
    site.run()
    store, database = site.store, site.settings.state / "toweros.db"
    with store._database.engine.connect() as connection:
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'sightings'").scalar()
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    with database.open("r+b") as file:
        file.seek(((page or 1) - 1) * 4096)
        file.write(b"\x0d" + os.urandom(4095))
    with pytest.raises(StoreError, match="damaged") as caught:
        Store.of(site.settings, migrate=True)
    assert "toweros restore" in caught.value.hint


# --- its own clock ---


def clock(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset)


def expires(site: Site) -> float:
    """Seconds from now, by the true clock."""
    timestamp = json.loads((site.settings.state / "repo" / "metadata" / "timestamp.json").read_bytes())
    return time.mktime(time.strptime(timestamp["signed"]["expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()


@pytest.mark.parametrize("ahead", [AHEAD + DAY, 365 * DAY, 3652 * DAY], ids=["a-month", "a-year", "ten-years"])
def test_a_clock_that_is_far_ahead_signs_nothing_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    site.run()
    before, offers = published(site.settings.state), site.offers()
    site.commit(HELLO)
    with monkeypatch.context() as wrong:
        clock(wrong, ahead)
        with pytest.raises(PublishError, match="clock says 20") as caught:
            site.run()
        assert "--clock-is-right" in caught.value.hint and "clock says" in error(site)
    assert published(site.settings.state) == before and site.offers() == offers, "honest boxes go on"
    assert site.run().published == ("a",) and expires(site) < 8 * DAY


def test_a_controller_that_was_off_for_two_months_goes_on_when_somebody_says_that_the_clock_is_right(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    clock(monkeypatch, 60 * DAY)
    with pytest.raises(PublishError, match="60 days before that"):
        site.run()
    site.store.notes.put(RightClock(int(time.time())))
    site.run()
    assert 6 * DAY < expires(site) < 8 * DAY and site.run().plan.empty


def test_a_clock_that_is_behind_signs_as_of_the_last_signature_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    site.commit({"boxes/c.yaml": 'role: vm\nsuspended: "ada"\n'})
    site.run()
    until = expires(site)
    site.store.notes.put(Status())
    with monkeypatch.context() as wrong:
        clock(wrong, -DAY / 2)
        site.commit({"boxes/c.yaml": 'role: vm\nsuspended: "ben"\n'})
        done = site.run()
        assert site.told_to_wait() == {"c": "ben"}, "what people ask for goes out"
        (words,) = done.warnings
        assert "is behind" in words and "set it" in words
    assert abs(expires(site) - until) < 60, "no signature holds for less than one before it"
    assert site.run().warnings == ()
