"""One pass over a place: in which order things appear, what goes and when, and what is told of a place that errs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops.errors import PublishError
from gitops.publish.elsewhere.copying import Copying
from gitops.publish.elsewhere.kinds import TIMESTAMP, Kind
from gitops.publish.elsewhere.place import Folder
from gitops.store import LeaseError
from tests.kit.elsewhere import Copies, Origin
from tests.kit.nocs import release
from tests.kit.published import kit

GRACE = 3600


class Odd(Folder):
    """`before` is called before each file that is put, with its path: it may do something, or raise."""

    before: Callable[[str], None] = staticmethod(lambda path: None)

    def put(self, path: str, data: Path | bytes, kind: Kind) -> None:
        self.before(path)
        super().put(path, data, kind)


@pytest.fixture
def place(tmp_path: Path) -> Odd:
    return Odd("site", tmp_path / "out")


@pytest.fixture
def copies(origin: Origin, place: Odd) -> Copies:
    return Copies(origin, place, GRACE)


def leads_to(folder: Path) -> int:
    """The version of the snapshot that a client comes to, all of it there; 0: there is no timestamp."""
    if not (folder / TIMESTAMP).is_file():
        return 0
    signed = json.loads((folder / TIMESTAMP).read_bytes())["signed"]
    version = int(signed["meta"]["snapshot.json"]["version"])
    snapshot = json.loads((folder / f"metadata/{version}.snapshot.json").read_bytes())["signed"]
    for role, row in snapshot["meta"].items():
        data = json.loads((folder / f"metadata/{row['version']}.{role}").read_bytes())["signed"]
        for path, target in data.get("targets", {}).items():
            box, _, name = path.partition("/")
            file = folder / f"targets/{box}/{target['hashes']['sha256']}.{name}"
            if name == "release.json":
                content = json.loads(file.read_bytes())["content"]
                roots = [each["root"] for each in content["root"]]
                assert all((folder / "layers" / root).is_file() for root in roots)
            assert file.stat().st_size == target["length"]
    return version


def test_stopped_before_any_file_clients_see_the_old_state_or_the_new_one(
    tmp_path: Path, origin: Origin, place: Odd, copies: Copies
) -> None:
    copies.once()
    old = leads_to(tmp_path / "out")
    origin.offer(release(9, b"three"))
    left, seen = 0, set()

    def stop(path: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise PublishError("the power is gone")

    place.before = stop
    for left_ in range(12):
        left = left_
        copies.again()
        try:
            copies.once()
        except PublishError:
            seen.add(leads_to(tmp_path / "out"))
    assert seen == {old} and leads_to(tmp_path / "out") > old


def test_what_is_published_meanwhile_does_not_tear_what_is_copied(
    tmp_path: Path, origin: Origin, place: Odd, copies: Copies
) -> None:
    copies.once()
    old = leads_to(tmp_path / "out")
    origin.offer(release(9, b"three"))

    def publish(path: str) -> None:
        place.before = lambda path: None
        origin.offer(release(10, b"four"))

    place.before = publish
    copies.once()
    assert leads_to(tmp_path / "out") == old + 1, "the newer one is for the next pass"
    copies.once()
    assert leads_to(tmp_path / "out") == old + 2


def test_what_the_server_forgot_stays_for_the_grace_and_then_goes(
    tmp_path: Path, origin: Origin, place: Odd, copies: Copies
) -> None:
    copies.once()
    before = copies.place.listed()
    (folder := origin.store.paths.layers).joinpath(next(folder.glob("*.zst")).name).unlink()
    shutil.copytree(folder, tmp_path / "kept")
    assert copies.once().removed == 0
    shutil.rmtree(folder)  # an empty store, which does not know yet what its boxes run
    assert copies.once(GRACE - 1).removed == 0 and copies.place.listed().keys() == before.keys()
    shutil.copytree(tmp_path / "kept", folder)  # ... and has made it again
    copies.again()
    assert copies.once(2).removed == 1
    assert len(before) - len(copies.place.listed()) == 1
    (origin.store.paths.metadata / "1.root.json").unlink()
    copies.once(), copies.once(9 * GRACE)
    assert (tmp_path / "out/metadata/1.root.json").is_file(), "an old client walks through all roots"


def test_who_is_the_controller_no_more_puts_no_timestamp_over_a_newer_one(
    tmp_path: Path, origin: Origin, place: Odd, copies: Copies
) -> None:
    copies.once()
    old, asked = leads_to(tmp_path / "out"), 0
    origin.offer(release(9, b"three"))

    def still() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise LeaseError("another one has taken over")

    with pytest.raises(LeaseError):
        Copying(origin.tree, place, GRACE, still).run(copies.memory, copies.now)
    assert leads_to(tmp_path / "out") == old
    copies.once()
    assert leads_to(tmp_path / "out") == old + 1


def test_another_fleet_s_folder_is_left_alone(tmp_path: Path, origin: Origin, place: Odd, copies: Copies) -> None:
    other = Origin(kit(tmp_path / "other", foreign=True))
    other.offer(release(8))
    copies.once()
    before = place.listed()
    theirs = Copies(other, place, 0)
    for _ in range(2):
        with pytest.raises(PublishError, match="another fleet's files are there"):
            theirs.once(10 * GRACE)
    assert place.listed() == before


def test_a_place_that_gives_yesterday_s_is_told_of(tmp_path: Path, origin: Origin, copies: Copies, place: Odd) -> None:
    copies.once()
    yesterday = (tmp_path / "out" / TIMESTAMP).read_bytes()
    origin.offer(release(9, b"three"))
    place.read = lambda path, most: yesterday if path == TIMESTAMP else None  # type: ignore[method-assign]
    with pytest.raises(PublishError, match=r"it took metadata/(boxes/demo-1/)?timestamp\.json, and gives another one"):
        copies.once()
    del place.read  # type: ignore[attr-defined]
    assert copies.once().mended == ()
    (tmp_path / "out" / TIMESTAMP).write_bytes(yesterday)
    assert copies.once().mended == ("metadata/timestamp.json was another one",)
    assert leads_to(tmp_path / "out") == 2


def test_what_may_be_signed_again_is_put_again_and_nothing_else(origin: Origin, place: Odd, copies: Copies) -> None:
    (folder := origin.store.paths.attestations).mkdir(parents=True, exist_ok=True)
    file = folder / f"{'ab' * 32}.json"
    file.write_bytes(b"signed 1")
    os.utime(file, (copies.now - 10, copies.now - 10))
    copies.once()
    copies.again()
    assert copies.once(10).put == 0
    file.write_bytes(b"signed 2")
    os.utime(file, (copies.now + 1, copies.now + 1))
    assert copies.once(2).put == 1 and place.read(f"attestations/{file.name}", 99) == b"signed 2"
