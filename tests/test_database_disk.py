"""The disk under PostgreSQL answers with I/O errors, or is full: the pass ends with the database's name, nothing half
is published, and the next pass with a good disk ends where it would have ended, to the byte.

The server is Debian's, with its data on a disk of their own (`tests/kit/baddisk.py`): the errors are the kernel's.
"""

import functools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import StoreError
from gitops.sign import secureboot
from gitops.store import Store
from gitops.store.lease import Holder
from tests.kit.baddisk import BadDisk, bad_disk
from tests.kit.databases import Postgres
from tests.kit.published import published, table_rows
from tests.kit.site import HELLO, Site

OPTIONS = ("listen_addresses=127.0.0.1", "min_wal_size=32MB", "max_wal_size=32MB", "shared_buffers=16MB")
"""What a disk says has to come through: fsync stays on, which is PostgreSQL's default."""
SAID, MADE = ("publications", "reports", "boxes"), ("candidates", "images", "layers")
"""What boxes are told, and say; and what a pass has done so far, which it keeps wherever it ends."""


@pytest.fixture
def disk() -> Iterator[BadDisk]:
    with tempfile.TemporaryDirectory(prefix="toweros-disk-") as folder, bad_disk(Path(folder), 256) as made:
        Path(folder).chmod(0o755)
        yield made


@pytest.fixture
def server(disk: BadDisk) -> Iterator[Postgres]:
    made = Postgres(disk.place, OPTIONS)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment, and one signature for each boot file."""
    now = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(secureboot, "_sbsign", functools.cache(secureboot._sbsign))
    monkeypatch.setattr("gitops.store.lease.RENEW", 999.0)
    monkeypatch.setattr(Holder, "gone", lambda _: True)


def left(site: Site) -> dict[str, object]:
    store = site.store
    assert all(store.whole(each) for each in store.offers.each())
    rows = table_rows(store, (*SAID, *MADE))
    store.close()
    return {**published(site.settings.state), **rows}


def twin(site: Site) -> Site:
    """The same controller, in SQLite."""
    state = site.folder / "twin"
    shutil.copytree(site.settings.state, state)
    other = Site(site.folder, site.remote, site.settings.model_copy(update={"state": state, "database": ""}))
    store, new = site.store, Store.open(state)
    store.copy_to(new)
    store.close()
    new.close()
    return other


@pytest.mark.parametrize("how", ["io-error", "full"])
def test_a_database_whose_disk_fails_stops_the_pass_by_name_and_loses_nothing(
    site: Site, server: Postgres, disk: BadDisk, same_bytes: None, how: str
) -> None:
    url = server.create()
    site.settings = site.settings.model_copy(update={"database": url})
    site.run()
    for box in site.offers():
        site.report(box)
    other = twin(site)
    before = left(site)
    site.commit({**HELLO, "boxes/d.yaml": "role: vm\n"})
    other.run()
    wanted = left(other)
    assert wanted != before
    controller, store, _ = site.start()
    filler = disk.place / "filler"
    if how == "full":
        with filler.open("wb", 0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(1 << 12))
    else:
        disk.fails()
    for _ in range(2):
        with pytest.raises(StoreError, match=f"the database 127.0.0.1/{url.rpartition('/')[2]}: ") as caught:
            with store.lease.held():
                controller.run_once()
        assert caught.value.hint and "correct-horse" not in str(caught.value)
        now = published(site.settings.state).items()
        # A full one may take the rows of a whole release before it needs another block.
        new = how == "full" and now <= wanted.items()
        assert now <= before.items() or new, "all of the release before, or all of the new one"
    server.stop()
    if how == "full":
        filler.unlink()
    else:
        disk.is_whole_again()
    server.start()
    kept = left(site)
    for table in SAID:  # boxes are offered a release first, and then it is written down that they are
        assert kept[table] == before[table] or (how, kept[table]) == ("full", wanted[table]), "nothing is lost"
    with store.lease.held():
        controller.run_once()  # the same process goes on
    store.close()
    assert left(site) == wanted
