"""A backup is made while the controller works, says what is in it, and comes back as what it was, or not at all."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import select

from gitops.errors import StoreError
from gitops.model import BlobRef, Happened, sha256
from gitops.model.access.act import Act
from gitops.store import LeaseError, Store, tables
from gitops.store.audit.verified import verified
from gitops.store.files import photograph
from gitops.store.files.blobs import digest_file
from gitops.store.notes.audited import AuditHead
from gitops.store.notes.restored import VersionFloor
from gitops.workflows.acting.acting import audit_log
from gitops.workflows.safekeeping import archive, backup, restore
from gitops.workflows.safekeeping.backup import Backup, Made
from gitops.workflows.safekeeping.restore import Restore
from gitops.workflows.safekeeping.seal import sign
from tests.kit.databases import both
from tests.kit.published import published, shared_keys, table_rows
from tests.kit.site import HELLO, Site

NOW = 1_790_000_000
TOWEROS = Path(sys.executable).parent / "toweros"


def rows(store: Store) -> dict[str, object]:
    """What a database says of boxes and offers."""
    tables = ("boxes", "publications", "candidates", "reports", "boots", "holds", "images", "layers")
    return table_rows(store, tables)


@pytest.fixture
def lived(site: Site) -> Site:
    """Boxes report, a canary has another release, one is held: a Tuesday."""
    site.run()
    for box in site.offers():
        site.report(box)
    site.commit({**HELLO, "boxes/c.yaml": 'role: vm\nsuspended: "ada: disk"\n'})
    site.run()
    return site


def taken(site: Site, *, everything: bool = False) -> Made:
    store = site.store
    made = Backup(store, site.settings.keys, everything=everything).write(site.folder / "toweros.backup", NOW)
    store.close()
    return made


def empty(site: Site, **changes: object) -> Site:
    """The same fleet repo and keys on another machine, without any state."""
    settings = site.settings.model_copy(update={"state": site.folder / "new", "database": "", **changes})
    return Site(site.folder, site.remote, settings)


@both
@pytest.mark.parametrize("everything", [False, True], ids=["without-files", "with-files"])
def test_restored_into_an_empty_folder_the_next_pass_ends_with_the_same_published_state(
    lived: Site, *, everything: bool
) -> None:
    before, said, offers = published(lived.settings.state), rows(lived.store), lived.offers()
    made = taken(lived, everything=everything)
    other = empty(lived)
    Restore(other.settings).take(made.file, replace=False, now=NOW)
    assert rows(other.store) == said and published(other.settings.state) == before
    done = other.run()
    assert published(other.settings.state) == before and other.offers() == offers
    assert bool(done.plan.builds) != everything, "layers are made again where they were left out"
    assert all(other.store.whole(each) for each in other.store.offers.each()) and other.run().plan.empty
    assert Happened.RESTORED in {event.reason for event in other.store.events.latest("", limit=99)}


def test_from_one_database_into_the_other_and_back(lived: Site, postgres: object) -> None:
    said, made = rows(lived.store), taken(lived)
    url = postgres.create()  # type: ignore[attr-defined]
    on_server = empty(lived, database=url)
    Restore(on_server.settings).take(made.file, replace=False, now=NOW)
    assert rows(on_server.store) == said and on_server.run().published == ()
    again = Backup(on_server.store, lived.settings.keys).write(lived.folder / "again.backup", NOW)
    back = empty(lived, state=lived.folder / "back")
    Restore(back.settings).take(again.file, replace=False, now=NOW)
    assert rows(back.store)["boxes"] == said["boxes"] and back.run().published == ()


@both
def test_over_a_live_state_only_when_that_is_said_and_never_beside_its_controller(lived: Site) -> None:
    made, before = taken(lived), published(lived.settings.state)
    lived.commit({"pkg/hello/file": "hello 4\n", "boxes/c.yaml": "role: vm\n"})
    lived.run()
    later = published(lived.settings.state)
    with pytest.raises(StoreError, match="is a controller's state already") as caught:
        Restore(lived.settings).take(made.file, replace=False, now=NOW)
    assert "--replace" in caught.value.hint
    with lived.store.lease.held(), pytest.raises(StoreError, match="in use by another controller"):
        Restore(lived.settings).take(made.file, replace=True, now=NOW)
    assert published(lived.settings.state) == later
    Restore(lived.settings).take(made.file, replace=True, now=NOW)
    assert published(lived.settings.state) == before
    (aside,) = lived.settings.state.glob("replaced-*")
    assert (aside / "metadata" / "timestamp.json").read_bytes() == later["timestamp.json"]
    assert (aside / "toweros.db").is_file(), "what was there is there still"
    assert lived.run().published == ("a",) and not lived.settings.state.joinpath("restoring").exists()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_lives_on_is_replaced_from_a_new_machine_as_carefully_as_a_folder(lived: Site) -> None:
    """The state folder is empty there, so the database alone knows whose it is and who works with it."""
    made = taken(lived)
    lived.commit({"pkg/hello/file": "hello 4\n"})
    lived.run()
    said, token = rows(lived.store), held_by(lived.store)
    new = empty(lived, database=lived.settings.database)
    with pytest.raises(StoreError, match="is a controller's state already"):
        Restore(new.settings).take(made.file, replace=False, now=NOW)
    with pytest.raises(StoreError, match="of another controller than the database"):
        Restore(new.settings).take(rewritten(made, folder="f" * 32), replace=True, now=NOW)
    with lived.store.lease.held(), pytest.raises(StoreError, match="in use by another controller"):
        Restore(new.settings).take(made.file, replace=True, now=NOW)
    assert rows(lived.store) == said and [*new.settings.state.iterdir()] == []
    old = lived.store
    with old.lease.held(), pytest.raises(LeaseError, match="has taken over"):
        photograph.put_back(unpacked(made), old._database)
        old.holds.save({})
    assert held_by(old) > token + 1, "who held it holds nothing any more"
    for _ in range(2):
        Restore(new.settings).take(made.file, replace=True, now=NOW)
    asides = sorted(new.settings.state.glob("replaced-*/toweros.db"))
    assert len(asides) == 2 and rows(Store.open(asides[0].parent)) != said, "what was there is there still"
    new.run()
    assert new.run().plan.empty and held_by(new.store) > token + 3


def held_by(store: Store) -> int:
    with store._database.read() as connection:
        return int(connection.scalar(select(tables.leases.c.token)) or 0)


def unpacked(made: Made) -> Path:
    folder = made.file.with_name("unpacked")
    archive.unpack(made.file, made.head, folder)
    return folder / "toweros.db"


def test_a_state_without_its_database_or_with_a_damaged_one_is_replaced(lived: Site) -> None:
    made, before = taken(lived), published(lived.settings.state)
    database = lived.settings.state / "toweros.db"
    for damage in (database.unlink, lambda: database.write_bytes(b"x" * 8192)):
        damage()
        for rest in ("-wal", "-shm"):
            database.with_name(f"toweros.db{rest}").unlink(missing_ok=True)
        Restore(lived.settings).take(made.file, replace=True, now=NOW)
        assert published(lived.settings.state) == before and lived.run().plan.empty


def test_after_a_restore_by_a_clock_that_was_ahead_the_next_one_is_above_it_too(lived: Site) -> None:
    """Its floor is in what boxes have seen: `now` alone would be below that for years."""
    made, year = taken(lived), 365 * 86400
    assert restored(lived, made, NOW + year) == NOW + year
    assert restored(lived, made, NOW) >= NOW + year, "the backup does not know of it, what is replaced does"
    other = empty(lived, state=lived.folder / "newer")
    assert restored(other, made, NOW) == NOW
    timestamp = other.settings.state / "repo" / "metadata" / "timestamp.json"
    said = json.loads(timestamp.read_bytes())
    said["signed"]["version"] = NOW + 2 * year
    timestamp.write_text(json.dumps(said))
    assert restored(other, made, NOW) == NOW + 2 * year + 1, "so do the metadata themselves"
    assert restored(empty(lived), taken(lived), NOW) >= NOW + year, "and a backup since then does"


@pytest.mark.parametrize("manner", ["gnu", "posix"])
def test_a_file_that_unpacks_to_more_than_it_has_is_refused_before_a_byte_of_it_is_written(
    lived: Site, tmp_path: Path, manner: str
) -> None:
    """Holes cost a tar nothing; our disk they would."""
    folder, size = tmp_path / "made", 32 << 20
    folder.mkdir()
    with (folder / "toweros.db").open("wb") as hole:
        hole.truncate(size)
    files = {"toweros.db": BlobRef(digest_file(folder / "toweros.db").sha256, size)}
    head = archive.Head(NOW, "0.1.0", "f" * 32, files=files)
    name = f"toweros-backup.{sha256(head.encode())}.json"
    (folder / name).write_bytes(head.encode())
    bomb, other = tmp_path / "bomb.backup", empty(lived)
    command = ["tar", "--sparse", f"--format={manner}", "-cf", bomb, "-C", folder, name, "toweros.db"]
    subprocess.run(command, check=True)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(StoreError, match=r"damaged|is no backup"):
        Restore(other.settings).take(bomb, replace=False, now=NOW, unsigned=True)
    with bomb.open("ab") as stream:
        stream.write(bytes(size))
    with pytest.raises(StoreError, match=r"is not as it is listed|is no backup"):
        Restore(other.settings).take(bomb, replace=False, now=NOW, unsigned=True)


def test_a_disk_without_room_is_said_before_anything_is_unpacked(lived: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = taken(lived), empty(lived)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 999, 1))
    with pytest.raises(StoreError, match="has 1 bytes left") as caught:
        Restore(other.settings).take(made.file, replace=False, now=NOW)
    assert "room" in caught.value.hint and [*other.settings.state.iterdir()] == []


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def restored(site: Site, made: Made, now: int) -> int:
    """The floor of versions after it."""
    Restore(site.settings).take(made.file, replace=True, now=now)
    floor = site.store.notes.get(VersionFloor)
    assert floor
    return floor.version


def damaged(file: Path) -> Iterator[tuple[str, bytes]]:
    whole = file.read_bytes()
    yield "cut short", whole[: len(whole) // 2 // 512 * 512]
    yield "cut short", whole[: len(whole) // 3]
    yield "is damaged", whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    middle = whole.index(b"SQLite format 3") + 5000
    yield "toweros.db has another digest", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    yield "is no backup of TowerOS", b"PK\3\4" + whole
    yield "is no backup of TowerOS", b""


def test_what_is_damaged_cut_or_foreign_touches_nothing(lived: Site) -> None:
    made, other = taken(lived), empty(lived)
    bad = lived.folder / "bad.backup"
    for why, data in damaged(made.file):
        bad.write_bytes(data)
        with pytest.raises(StoreError, match=why) as caught:
            Restore(other.settings).take(bad, replace=False, now=NOW)
        assert caught.value.hint and [*other.settings.state.iterdir()] == [], why
    with tarfile.open(bad, "w") as tar:
        tar.add(lived.settings.state / "id", "id")
    with pytest.raises(StoreError, match="is no backup of TowerOS"):
        Restore(other.settings).take(bad, replace=False, now=NOW)
    with pytest.raises(StoreError, match=r"there is no .*nowhere"):
        Restore(other.settings).take(lived.folder / "nowhere", replace=False, now=NOW)


def rewritten(made: Made, **changes: object) -> Path:
    """A backup that says something else of itself, and is whole."""
    head, file = made.head, made.file.with_name("changed.backup")
    sources: dict[str, archive.Source] = {}
    with tarfile.open(made.file) as tar:
        for name in head.files:
            stream = tar.extractfile(name)
            assert stream
            sources[name] = stream.read()
    text = json.loads(head.encode()) | changes

    class Changed(archive.Head):
        def encode(self) -> bytes:
            return json.dumps(text).encode()

    archive.write(
        file, Changed(head.made, head.version, head.folder, head.revision, head.files), sources, sign(shared_keys())
    )
    return file


def test_a_newer_format_is_refused_by_its_number_and_another_controller_s_by_its_name(lived: Site) -> None:
    made, other = taken(lived), empty(lived)
    with pytest.raises(StoreError, match="format 3") as caught:
        Restore(other.settings).take(rewritten(made, format=3), replace=False, now=NOW)
    assert "newer" in caught.value.hint
    with pytest.raises(StoreError, match="of another controller"):
        Restore(lived.settings).take(rewritten(made, folder="f" * 32), replace=True, now=NOW)
    names = {"../../etc/passwd": ["0" * 64, 1]}
    with pytest.raises(StoreError, match="damaged"):
        Restore(other.settings).take(rewritten(made, files=names), replace=False, now=NOW)


def test_a_backup_that_was_made_with_other_keys_is_refused(lived: Site, tmp_path: Path) -> None:
    from gitops.sign import keys

    made = taken(lived)
    keys.init(tmp_path / "others", b"for tests only")
    other = empty(lived, keys=tmp_path / "others")
    with pytest.raises(StoreError, match="other keys") as caught:
        Restore(other.settings).take(made.file, replace=False, now=NOW, unsigned=True)
    assert "keys" in caught.value.hint and [*other.settings.state.iterdir()] == []


def test_a_damaged_database_is_not_backed_up(lived: Site) -> None:
    store, database = lived.store, lived.settings.state / "toweros.db"
    with store._database.write() as connection:
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'publications'").scalar()
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    store.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    with pytest.raises(StoreError, match=r"malformed|damaged"):
        Backup(lived.store, lived.settings.keys).write(lived.folder / "toweros.backup", NOW)
    assert not [*lived.folder.glob("toweros.backup*")]


def test_a_damaged_blob_is_left_out_and_said(lived: Site) -> None:
    publication = lived.store.offers.published("a")
    assert publication
    lived.store.blobs.path(publication.addon.sha256).write_bytes(b"x")
    lived.store.blobs.remove(publication.document.sha256)
    made = taken(lived)
    names = {f"blobs/sha256/{ref.sha256}" for ref in (publication.addon, publication.document)}
    assert {*made.head.left_out} == names and not names & made.head.files.keys()
    other = empty(lived)
    Restore(other.settings).take(made.file, replace=False, now=NOW)
    other.run()
    again = other.store.offers.published("a")
    assert again and other.store.whole(again), "the next pass makes them again"


def test_the_file_has_its_name_when_it_is_whole_and_only_its_owner_reads_it(
    lived: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lived.folder / "backups"
    folder.mkdir()
    made = Backup(lived.store, lived.settings.keys).write(folder, NOW)
    assert made.file.name == "toweros-20260921T141320Z.backup" and made.file.stat().st_mode & 0o777 == 0o600
    whole = made.file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_add", full)
    with pytest.raises(StoreError, match=r"cannot write .*: No space left"):
        Backup(lived.store, lived.settings.keys).write(made.file, NOW)
    assert made.file.read_bytes() == whole and [*folder.iterdir()] == [made.file]
    assert not list(lived.settings.state.glob(".backup-*"))


class Killed(BaseException):
    """What a power cut is to a process: no handler runs."""


def test_what_is_published_meanwhile_is_in_it_whole_or_not_at_all(lived: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "PAUSE", 0)
    store, real, count = lived.store, Store.photograph, iter(range(99))

    def meanwhile(self: Store, file: Path) -> None:
        real(self, file)
        if next(count) < 2:
            lived.report("a")
            lived.commit({"pkg/hello/file": f"{os.urandom(4).hex()}\n"})
            lived.run()

    monkeypatch.setattr(Store, "photograph", meanwhile)
    made = Backup(store, lived.settings.keys).write(lived.folder / "toweros.backup", NOW)
    assert next(count) == 3
    before, other = published(lived.settings.state), empty(lived)
    Restore(other.settings).take(made.file, replace=False, now=NOW)
    other.run()
    assert published(other.settings.state) == before


def test_a_restore_that_dies_anywhere_leaves_the_old_state_or_one_that_says_what_to_do(
    lived: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, before, said = taken(lived), published(lived.settings.state), rows(lived.store)
    kept, state = lived.folder / "kept", lived.settings.state
    shutil.copytree(state, kept)
    half = 0
    for limit in range(99):
        shutil.rmtree(state)
        shutil.copytree(kept, state)
        steps = iter(range(limit))
        with monkeypatch.context() as patched:
            for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (restore, "_settle")):
                patched.setattr(owner, name, dying(getattr(owner, name), steps))
            try:
                Restore(lived.settings).take(made.file, replace=True, now=NOW)
                break
            except Killed:
                pass
        if (state / "restoring").exists():
            half += 1
            with pytest.raises(StoreError, match="half restored") as caught:
                lived.store  # noqa: B018
            assert "toweros restore" in caught.value.hint
            Restore(lived.settings).take(made.file, replace=True, now=NOW)
        assert (published(state), rows(lived.store)) == (before, said), limit
    assert half > 10 and lived.run().plan.empty


def dying(act, steps):  # type: ignore[no-untyped-def]
    def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
        if next(steps, None) is None:
            raise Killed
        return act(*arguments, **named)

    return wrapped


def test_the_commands_say_what_is_in_it_and_what_is_not(lived: Site) -> None:
    config, folder = lived.folder / "toweros.toml", lived.folder / "backups"
    folder.mkdir()
    said = {"state": "state", "keys": str(lived.settings.keys), "repository": str(lived.remote.bare)}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()))
    words = toweros("backup", folder, "-c", config)
    (file,) = folder.iterdir()
    assert str(file) in words and "main@sha1:" in words and f"the keys in {lived.settings.keys}" in words
    assert "is a controller's state already" in toweros("restore", file, "-c", config, code=1)
    words = toweros("restore", file, "-c", config, "--state", lived.folder / "new")
    assert "next: the newest keys" in words
    nothing = toweros("backup", folder, "-c", config, "--state", lived.folder / "nothing", code=1)
    assert "no state here" in nothing


def toweros(*words: str | Path, code: int = 0) -> str:
    done = subprocess.run([TOWEROS, *words], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_a_restore_does_not_take_the_audit_log_back(lived: Site) -> None:
    """What was done since the backup, and the restore itself, are in it; and it is whole."""
    log = audit_log(lived.store)
    hold = Act(NOW, "ada", "account", "192.0.2.7", "box.hold", "a", "the mast is open")
    with log.doing(hold):
        pass
    made = taken(lived)
    with audit_log(lived.store).doing(replace(hold, what="box.release")):
        pass
    lived.store.close()
    Restore(lived.settings).take(made.file, replace=True, now=NOW)
    log = audit_log(lived.store)
    assert [line.act.what for line, _ in log.newest()] == ["box.release", "box.hold"]
    head = lived.store.notes.get(AuditHead)
    assert head and head.number == 2 and verified(log.files.lines(), [head]).wrong == []
    with log.doing(replace(hold, what="box.retry")):
        pass
    head = lived.store.notes.get(AuditHead)
    assert head and head.number == 6 and verified(log.files.lines(), [head]).wrong == []
