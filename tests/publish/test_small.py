"""One small repository per box: boxes of both agents read what the real server serves, whatever happens in between."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from toweros_agent.nouns import Refused
from toweros_agent.offer.repository import own_of, seen

from gitops.errors import StoreError
from gitops.model import BlobRef, Report, Target
from gitops.publish import Publisher, together
from gitops.publish.older import ALONE, ENDS
from gitops.server.people.pages import keys
from gitops.sign import Signer
from gitops.sign.roots import rotation
from gitops.sign.small.fleet import Small
from gitops.sign.small.repository import By, Repository, read, renewed
from gitops.sign.tuf import LIFETIMES, Authority
from gitops.workflows.safekeeping import ahead
from tests.kit.followers import Follower
from tests.kit.published import NOW, PASSPHRASE, Kit

DAY = 86400
MOST = 4096
"""Bytes of metadata that a box fetches for one commit."""


@pytest.fixture
def box(here: Kit, url: str, tmp_path: Path) -> Callable[[str], Follower]:
    root = here.folder.joinpath("keys/1.root.json").read_bytes()
    return lambda name: Follower(here.store, tmp_path / "boxes" / name, root, url, name)


def publish(here: Kit, sequence: int, *boxes: str) -> list[str]:
    text = f"text {sequence}".encode()
    return here.publisher.publish([here.publication(name, sequence, text) for name in boxes or ("demo-1", "demo-2")])


def by(here: Kit, floor: int = 0) -> By:
    authority: Authority = here.signer._authority()
    return By(authority.root(), authority.online, floor)


class Shelf(dict[str, bytes]):
    """A folder in memory."""

    def read(self, name: str) -> bytes | None:
        return self.get(name)

    def repositories(self) -> list[str]:
        return sorted({name.rpartition("/")[0] for name in self})

    def stamp(self, name: str) -> tuple[int, ...] | None:
        return (hash(self[name]),) if name in self else None

    def put(self, fleet: Small, targets: dict[str, Target], by: By, now: int) -> int:
        """How many repositories were signed."""
        signed = 0
        for bunch in fleet.due(self, targets, by, now):
            self.update(bunch.files + bunch.stamps)
            signed += len(bunch.signed)
        return signed


def targets_of(boxes: int) -> dict[str, Target]:
    """As a controller states it: evidence of two Git objects, a signer, a permission."""
    ref = BlobRef("ab" * 32, 12345)
    objects = [{"sha256": "cd" * 32, "size": 900}] * 2
    custom = {
        "format": 1, "sequence": 812, "content": "ef" * 32, "revision": "main@sha1:" + "0" * 40, "time": NOW,
        "signers": ["ada@example.org"], "evidence": objects, "receipts": "12" * 32, "site": "roof",
        "apply": {"lease": 7, "until": NOW, "stopped": "", "windows": [[0, 10080]], "moratoria": [], "zone": "UTC0",
                  "veto": 3600},
    }  # fmt: skip
    names = [f"box-{number:06}" for number in range(boxes)]
    plain = {f"{name}/{file}": Target(ref, {}) for name in names for file in ("uki.efi", "addon.efi", "loader.efi")}
    return plain | {f"{name}/release.json": Target(ref, custom) for name in names}


def test_what_a_box_fetches_does_not_grow_with_the_fleet(here: Kit) -> None:
    fetched = set[int]()
    for size in (10, 300):
        shelf, targets = Shelf(), targets_of(size)
        assert shelf.put(Small(), targets, by(here), NOW) == size
        fetched |= {sum(len(shelf[name]) for name in shelf if name.startswith("boxes/box-000007/"))}
    assert len(fetched) == 1 and fetched.pop() <= MOST


def test_a_box_takes_its_own_and_another_ones_are_refused_and_leave_no_trace(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    """The keys are the same, and the other one's versions are higher."""
    publish(here, 1)
    one = box("demo-1")
    assert one.looks().sequence == 1
    here.publisher.publish([here.publication("demo-2", 2, b"two")], now=int(time.time()) + 9 * DAY)
    folder = here.store.paths.metadata / "boxes"
    (folder / "demo-1").rename(folder / "honest")
    shutil.copytree(folder / "demo-2", folder / "demo-1")
    with pytest.raises(Refused, match="of boxes/demo-2, not of boxes/demo-1"):
        one.looks()
    shutil.copy(folder / "honest" / "timestamp.json", folder / "demo-1")
    with pytest.raises(Refused, match="of all boxes, not of boxes/demo-1"):
        shutil.copy(here.store.paths.metadata / "timestamp.json", folder / "demo-1")
        one.looks()
    shutil.rmtree(folder / "demo-1")
    (folder / "honest").rename(folder / "demo-1")
    publish(here, 3, "demo-1")
    assert one.looks().sequence == 3


def test_an_old_agent_that_is_shown_a_small_repository_is_brought_back_by_its_report(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    """It cannot tell it from all boxes' own, and the version is a time: what it knows is behind for good."""
    publish(here, 1)
    one, folder = box("demo-1"), here.store.paths.metadata
    one.old = True
    assert one.looks().sequence == 1
    honest = (folder / "timestamp.json").read_bytes()
    for path in (folder / "boxes" / "demo-1").iterdir():
        shutil.copy(path, folder)
    (folder / "timestamp.json").write_bytes((folder / "boxes" / "demo-1" / "timestamp.json").read_bytes())
    with pytest.raises(Refused, match="New snapshot is missing info for 'bin-0"):
        _looks_as_before(one)
    (folder / "timestamp.json").write_bytes(honest)
    publish(here, 2, "demo-1")
    with pytest.raises(Refused, match="BadVersionNumber"):
        _looks_as_before(one)
    report = Report("demo-1", "boot", 1, 0, "1", 1, "ab" * 32, "cd" * 32, "idle", "Healthy", trusted=seen(one.folder))  # type: ignore[arg-type]
    ahead.notice(here.store, report, int(time.time()) + 1)
    publish(here, 2, "demo-1")
    assert _looks_as_before(one) == 2


def _looks_as_before(one: Follower) -> int:
    """Without the check that the agent of before does not make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toweros_agent.offer.repository._check", lambda data, repository: None)
        return one.looks().sequence


def test_a_revoked_key_signs_no_first_small_repository(here: Kit, box: Callable[[str], Follower]) -> None:
    """Roots that are believed once count for every repository: withheld ones bring no old key back."""
    publish(here, 1)
    one, folder = box("demo-1"), here.store.paths.metadata
    stolen = shutil.copytree(folder, here.folder / "stolen")
    shutil.rmtree(folder / "boxes")
    rotation.rotate(here.folder / "keys", "timestamp", PASSPHRASE, datetime.now(UTC))
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    one.old = True
    assert one.looks().sequence == 2
    shutil.rmtree(folder)
    stolen.rename(folder)
    one.old = False
    with pytest.raises(Refused, match="timestamp was signed by 0/1 keys"):
        one.looks()


def test_a_fleet_of_old_agents_goes_over_in_any_order_with_cuts(
    here: Kit, box: Callable[[str], Follower], tmp_path: Path
) -> None:
    """Boxes take the new agent, and go back to the old one; the controller is stopped after any file and goes on."""
    names, luck, metadata = ("demo-1", "demo-2", "demo-3"), Random(14), here.store.paths.metadata
    boxes = {name: box(name) for name in names}
    for each in boxes.values():
        each.old = True
    _as_before(here, names)
    for sequence in range(2, 10):
        before = shutil.copytree(metadata, tmp_path / f"before-{sequence}")
        written = publish(here, sequence, *names)
        after = {name: (metadata / name).read_bytes() for name in written if (metadata / name).is_file()}
        shutil.rmtree(metadata)
        before.rename(metadata)
        for name in written[: luck.randrange(len(written) + 1)]:
            (metadata / name).parent.mkdir(parents=True, exist_ok=True)
            (metadata / name).write_bytes(after[name])
        for each in boxes.values():
            assert each.looks().sequence in (sequence - 1, sequence), "half of it is no trouble"
        here.publisher = Publisher(here.store, Signer.open(here.folder / "keys", here.store))
        publish(here, sequence, *names)
        for each in boxes.values():
            each.reports()
        here.publisher.refresh()
        for each in boxes.values():
            assert each.looks().sequence == sequence
            each.old = sequence < 8 and luck.random() < 0.5
    for each in boxes.values():
        each.reports()
    here.publisher.refresh()
    assert (metadata / ALONE).exists(), "nobody is left who needs the other"


def _as_before(here: Kit, names: tuple[str, ...]) -> None:
    """What a controller of before published."""
    publish(here, 1, *names)
    shutil.rmtree(here.store.paths.metadata / "boxes")
    here.publisher = Publisher(here.store, Signer.open(here.folder / "keys", here.store))


def test_what_all_boxes_share_ends_with_its_last_reader_and_comes_back_with_one_that_fell_back(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    publish(here, 1)
    one, two = box("demo-1"), box("demo-2")
    one.looks(), one.reports()
    assert "timestamp.json" in publish(here, 2), "demo-2 said nothing yet"
    two.looks(), two.reports()
    assert "timestamp.json" not in publish(here, 3)
    assert here.store.events.latest("")[0].message == ENDS
    shown = {each["role"]: each["version"] for each in keys._roles(here.store.paths.metadata, NOW)}
    assert shown["root"] == 1 and shown["timestamp"] > NOW, "people see what is renewed"
    assert one.looks().sequence == two.looks().sequence == 3
    two.old = True
    assert two.looks().sequence == 2, "nothing newer is there, and what is there holds"
    two.reports()
    assert "timestamp.json" in here.publisher.refresh()
    assert "demo-2 said nothing yet of a repository" in here.store.events.latest("")[0].message
    assert two.looks().sequence == 3 and one.looks().sequence == 3
    two.old = False
    assert two.looks().sequence == 3


def test_a_server_of_before_is_understood_also_behind_files_that_nobody_renews(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    publish(here, 1)
    one, folder = box("demo-1"), here.store.paths.metadata
    assert one.looks().sequence == 1 and seen(one.folder, "demo-1")["own"]  # type: ignore[index]
    (folder / "boxes").rename(folder / "away")
    assert one.looks().sequence == 1 and "own" not in seen(one.folder, "demo-1")  # type: ignore[operator]
    (folder / "away").rename(folder / "boxes")
    assert one.looks().sequence == 1 and seen(one.folder, "demo-1")["own"]  # type: ignore[index]
    with pytest.MonkeyPatch.context() as patch:  # an older controller renews what it knows, beside files that expire
        patch.setattr(here.signer, "small", lambda *_: iter(()))
        here.publisher.publish([here.publication("demo-1", 2, b"two")], now=int(time.time()) - 9 * DAY)
    _expire(here, "demo-1")
    with pytest.raises(Refused, match="ExpiredMetadataError"):
        one.looks()
    here.publisher._put(
        here.signer.metadata(
            here.publisher._metadata.read, here.signer.targets(here.publisher._metadata.read), int(time.time())
        )
    )
    assert one.looks().sequence == 2


def _expire(here: Kit, name: str) -> None:
    folder = here.store.paths.metadata / "boxes" / name
    old = read(here.publisher._metadata.read, f"boxes/{name}")
    assert old
    shutil.rmtree(folder)
    signing = renewed(
        f"boxes/{name}", None, old.offered, by(here, old.timestamp.version + 1), int(time.time()) - 9 * DAY
    )
    assert signing
    here.publisher._put([*signing.files, signing.timestamp])


def test_a_box_that_was_removed_and_came_again_and_one_whose_controller_lost_its_state_believe_what_is_new(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    publish(here, 1)
    one = box("demo-1")
    assert one.looks().sequence == 1
    here.publisher.publish([], removed=["demo-1"])
    with pytest.raises(Refused, match="there is no demo-1"):
        one.looks()
    publish(here, 2, "demo-1")
    assert one.looks().sequence == 2
    shutil.rmtree(here.store.paths.metadata)
    here.publisher = Publisher(here.store, Signer.open(here.folder / "keys", here.store))
    here.publisher.publish([here.publication("demo-1", 3, b"three")], now=int(time.time()) + 60)
    assert one.looks().sequence == 3


def test_a_damaged_repository_is_one_boxs_trouble_and_is_made_again(here: Kit, box: Callable[[str], Follower]) -> None:
    publish(here, 1)
    for name in ("demo-1", "demo-2"):
        here.store.offers.save_published(here.publication(name, 1, b"text 1"), "key")
    folder = here.store.paths.metadata / "boxes"
    for damage in (b"", b"[" * 9000, (folder / "demo-2" / "timestamp.json").read_bytes()[:-9]):
        (folder / "demo-1" / "timestamp.json").write_bytes(damage)
        again = Publisher(here.store, Signer.open(here.folder / "keys", here.store))
        assert {name.rpartition("/")[0] for name in again.refresh()} == {"boxes/demo-1"}
        assert box("demo-1").looks().sequence == 1 and box("demo-2").looks().sequence == 1
    next((folder / "demo-1").glob("*.targets.json")).unlink()
    assert here.publisher.refresh(), "a file is gone to which the timestamp leads"
    assert box("demo-1").looks().sequence == 1


def test_what_one_commit_signed_is_signed_again_over_a_day_and_never_late(here: Kit) -> None:
    shelf, fleet, targets, by_ = Shelf(), Small(), targets_of(240), by(here)
    assert shelf.put(fleet, targets, by_, NOW) == 240
    first = {name: read(shelf.read, name) for name in shelf.repositories()}
    hours = [shelf.put(fleet, targets, by_, NOW + hour * 3600) for hour in range(1, 49)]
    assert sum(hours[:23]) == 0 and sum(hours) == 240 and max(hours) <= 30, "a tenth at most of all within an hour"
    ends = min(each.timestamp.expires for each in map(_there, map(lambda name: read(shelf.read, name), first)))
    assert ends >= NOW + 24 * 3600 + (LIFETIMES["timestamp"].days - 2) * DAY
    same = [name for name, was in first.items() if was and was.targets == _there(read(shelf.read, name)).targets]
    assert len(same) == 240, "what did not change is not signed again"


def _there(repository: Repository | None) -> Repository:
    assert repository
    return repository


def test_a_box_in_sync_asks_one_conditional_question_and_hears_of_its_own_offer_alone(
    here: Kit, box: Callable[[str], Follower]
) -> None:
    publish(here, 1)
    trust, asked = box("demo-1").trust(), list[tuple[str, int]]()
    assert trust.changed() and trust.offer().sequence == 1
    get = trust.http.get

    def heard(url: str, *more: object) -> tuple[int, str, bytes]:
        answer = get(url, *more)  # type: ignore[arg-type]
        asked.append((url.partition("/metadata/")[2], answer[0]))
        return answer

    trust.http.get = heard  # type: ignore[method-assign, assignment]
    publish(here, 2, "demo-2")
    assert not trust.changed() and asked == [("boxes/demo-1/timestamp.json", 304)]
    publish(here, 3, "demo-1")
    assert trust.changed() and trust.offer().sequence == 3


def test_a_machine_without_a_name_asks_one_conditional_question_too(here: Kit, box: Callable[[str], Follower]) -> None:
    publish(here, 1)
    trust, key = box("new.vm").trust(), "ab" * 32
    own = own_of("", key)
    here.publisher.name({key: "demo-1"})
    assert trust.changed(own) and trust.name_of(key) == "demo-1"
    assert not trust.changed(own)
    here.publisher.name({key: "demo-2"})
    assert trust.changed(own) and trust.name_of(key) == "demo-2"
    (here.store.paths.metadata / "claims").rename(here.store.paths.metadata / "away")
    assert trust.changed(own) and trust.name_of("cd" * 32) == "", "of all boxes: nobody said that one's name"


def test_what_was_replaced_goes(here: Kit) -> None:
    folder, metadata = here.store.paths.metadata / "boxes" / "demo-1", here.publisher._metadata
    repository: Repository | None = None
    for number in range(40):
        wanted = {"demo-1/release.json": Target(BlobRef("ab" * 32, number), {})}
        signing = renewed("boxes/demo-1", repository, wanted, by(here), NOW)
        assert signing
        metadata.write_all([*signing.files, signing.timestamp])
        metadata.prune_small(["boxes/demo-1"])
        repository = signing.repository
    assert 32 <= len([*folder.glob("*.targets.json")]) <= 33
    metadata.prune_small(["boxes/demo-1"], time.time() + DAY)
    assert sorted(path.name.split(".", 1)[-1] for path in folder.iterdir()) == ["json", "snapshot.json", "targets.json"]


def test_a_store_without_room_shows_whole_files_or_none(here: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty boxes are written together; the disk is full at the last file."""
    names = [f"box-{number}" for number in range(30)]
    publish(here, 1, *names)
    known = {name: here.publisher._metadata.read(f"boxes/{name}/timestamp.json") for name in names}
    honest, left = together._write, [35]

    def full(path: str, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        honest(path, data)

    monkeypatch.setattr(together, "_write", full)
    with pytest.raises(StoreError, match="No space left on device"):
        publish(here, 2, *names)
    assert {name: here.publisher._metadata.read(f"boxes/{name}/timestamp.json") for name in names} == known
    monkeypatch.undo()
    assert len([name for name in publish(here, 2, *names) if name.startswith("boxes/")]) == 90
    assert not [*here.store.paths.metadata.glob(".new-*")]
