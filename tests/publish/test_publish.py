"""A real TUF client reads what the real server serves, and refuses what an attacker serves in its place."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadLengthMismatchError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient import Updater

from gitops.errors import PublishError, SignError
from gitops.model import Health, Phase, Report
from gitops.publish.transfers import pairs
from gitops.sign import Signer
from gitops.sign.roots import rotation
from tests.kit.published import NOW, PASSPHRASE, Kit, kit

DAY = 86400


def client(tmp_path: Path, here: Kit, url: str) -> Updater:
    """A box's client: its trusted metadata stay in one folder, as on the box's disk."""
    for name in ("tuf", "downloads"):
        (tmp_path / name).mkdir(exist_ok=True)
    root = here.folder.joinpath("keys/1.root.json").read_bytes()
    return Updater(
        str(tmp_path / "tuf"), f"{url}/metadata", str(tmp_path / "downloads"), f"{url}/targets", bootstrap=root
    )


def sees(tmp_path: Path, here: Kit, url: str, box: str = "demo-1") -> int:
    """The sequence that a client is offered, with all three targets downloaded."""
    updater = client(tmp_path, here, url)
    updater.refresh()
    for name in ("release.json", "uki.efi", "addon.efi"):
        info = updater.get_targetinfo(f"{box}/{name}")
        if info is None:
            return 0
        updater.download_target(info)
    release = updater.get_targetinfo(f"{box}/release.json")
    assert release is not None and release.custom is not None
    return int(release.custom["sequence"])


def test_a_client_follows_from_release_to_release(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1), here.publication("demo-2", 1)])
    assert sees(tmp_path, here, url) == 1
    written = here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert sees(tmp_path, here, url) == 2
    assert sees(tmp_path, here, url, "demo-2") == 1
    assert len([name for name in written if "bin-" in name]) <= 3, "only changed bins are signed again"
    assert written[-1] == "timestamp.json"
    assert here.publisher.publish([here.publication("demo-1", 2, b"two")]) == [], "nothing new, nothing written"
    here.publisher.publish([], removed=["demo-2"])
    assert sees(tmp_path, here, url, "demo-2") == 0


def test_a_hold_reaches_the_box_without_a_new_release(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1), here.publication("demo-2", 1)], holds={})
    assert sees(tmp_path, here, url) == 1 and said_to_hold(tmp_path, here, url) is None
    assert here.publisher.publish([], holds={"demo-1": "ada: disk", "demo-9": "not offered anything"})
    assert said_to_hold(tmp_path, here, url) == "ada: disk" and said_to_hold(tmp_path, here, url, "demo-2") is None
    assert here.publisher.publish([], holds={"demo-1": "ada: disk"}) == [], "nothing new, nothing written"
    here.publisher.refresh()
    here.publisher.publish([])
    assert said_to_hold(tmp_path, here, url) == "ada: disk", "who only signs again lets nobody go"
    here.publisher.publish([], holds={"demo-1": "x" * 9999})
    assert said_to_hold(tmp_path, here, url) == "x" * 200
    here.publisher.publish([], holds={})
    assert said_to_hold(tmp_path, here, url) is None and sees(tmp_path, here, url) == 1


def said_to_hold(tmp_path: Path, here: Kit, url: str, box: str = "demo-1") -> object:
    """Why the box shall not take its offer, as its client reads it."""
    updater = client(tmp_path, here, url)
    updater.refresh()
    release = updater.get_targetinfo(f"{box}/release.json")
    assert release is not None and release.custom is not None
    return release.custom.get("held")


def test_stopped_after_any_file_and_run_again(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)])
    assert sees(tmp_path, here, url) == 1
    before = tmp_path / "before"
    shutil.copytree(here.store.paths.metadata, before)
    new = here.publication("demo-1", 2, b"two")
    written = here.publisher.publish([new])
    after = {name: (here.store.paths.metadata / name).read_bytes() for name in written}
    for count in range(len(written) + 1):
        shutil.rmtree(here.store.paths.metadata)
        shutil.copytree(before, here.store.paths.metadata)
        for name in written[:count]:
            (here.store.paths.metadata / name).write_bytes(after[name])
        box = tmp_path / f"box-{count}"
        shutil.copytree(tmp_path / "tuf", box / "tuf")
        assert sees(box, here, url) == (2 if count == len(written) else 1)
        here.publisher.publish([new])
        assert sees(box, here, url) == 2


def test_metadata_is_signed_again_before_it_ends(here: Kit) -> None:
    here.publisher.publish([here.publication("demo-1", 1)], now=NOW)
    assert here.publisher.refresh(NOW + DAY - 60) == []
    assert here.publisher.refresh(NOW + 2 * DAY) == ["boxes/demo-1/timestamp.json", "timestamp.json"]
    files = here.publisher.refresh(NOW + 40 * DAY)
    assert files[-3:] == ["2.targets.json", "2.snapshot.json", "timestamp.json"]


def test_a_new_targets_key_reaches_old_clients(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)])
    assert sees(tmp_path, here, url) == 1
    rotation.rotate(here.folder / "keys", "targets", PASSPHRASE, datetime.now(UTC))
    with pytest.raises(SignError, match="cannot be unlocked"):
        rotation.rotate(here.folder / "keys", "root", b"wrong", datetime.now(UTC))
    again = type(here.publisher)(here.store, Signer.open(here.folder / "keys"))
    assert "2.root.json" in again.refresh()
    assert sees(tmp_path, here, url) == 1
    again.publish([here.publication("demo-1", 2, b"two")])
    assert sees(tmp_path, here, url) == 2


# --- attacks: whoever holds the server or the wire, but no key ---


def test_metadata_of_a_foreign_root_is_refused(tmp_path: Path, here: Kit, url: str) -> None:
    foreign = kit(tmp_path / "foreign", foreign=True)
    foreign.publisher.publish([foreign.publication("demo-1", 9)])
    shutil.copytree(foreign.store.paths.metadata, here.store.paths.metadata)
    with pytest.raises(UnsignedMetadataError):
        sees(tmp_path, here, url)


def test_older_metadata_is_refused(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)])
    shutil.copytree(here.store.paths.metadata, tmp_path / "old")
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert sees(tmp_path, here, url) == 2
    shutil.copy(tmp_path / "old/timestamp.json", here.store.paths.metadata)
    updater = client(tmp_path, here, url)
    with pytest.raises((BadVersionNumberError, EqualVersionNumberError)):
        updater.refresh()


def test_a_frozen_timestamp_is_refused(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)], now=int(datetime.now(UTC).timestamp()) - 8 * DAY)
    with pytest.raises(ExpiredMetadataError):
        sees(tmp_path, here, url)


@pytest.mark.parametrize("damage", ["wrong", "truncated", "longer"])
def test_a_damaged_target_is_refused(tmp_path: Path, here: Kit, url: str, damage: str) -> None:
    publication = here.publication("demo-1", 1)
    here.publisher.publish([publication])
    path = here.store.blobs.path(publication.addon.sha256)
    data = path.read_bytes()
    path.write_bytes({"wrong": b"X" + data[1:], "truncated": data[:-1], "longer": data + b"X"}[damage])
    with pytest.raises((LengthOrHashMismatchError, DownloadLengthMismatchError)):
        sees(tmp_path, here, url)


def test_a_mix_of_two_states_is_refused(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)])
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    metadata = here.store.paths.metadata
    meta = json.loads((metadata / "2.snapshot.json").read_bytes())["signed"]["meta"]
    changed = [name for name, row in meta.items() if row["version"] == 2]
    for name in changed:
        shutil.copy(metadata / f"1.{name}", metadata / f"2.{name}")
    with pytest.raises(RepositoryError):
        sees(tmp_path, here, url)


# --- what is not published ---


def test_a_sequence_never_falls_and_never_means_two_releases(here: Kit) -> None:
    here.publisher.publish([here.publication("demo-1", 5)])
    with pytest.raises(PublishError, match="sequence 4 is lower than 5"):
        here.publisher.publish([here.publication("demo-1", 4)])
    with pytest.raises(PublishError, match="another release"):
        here.publisher.publish([here.publication("demo-1", 5, b"other")])


def test_a_missing_layer_is_found_before_anything_is_named(here: Kit) -> None:
    publication = here.publication("demo-1", 1, b"lost")
    here.store.layers.remove(publication.release.layers()[-1].root)
    with pytest.raises(PublishError, match="is not in the store"):
        here.publisher.publish([publication])
    assert not here.store.paths.metadata.exists()


def test_an_agent_that_cannot_read_the_format_is_left_alone(here: Kit) -> None:
    here.store.boxes.save_report(Report("demo-1", "b", 1, 1, "0", 0, "ab" * 32, "ab" * 32, Phase.IDLE, Health.HEALTHY))
    with pytest.raises(PublishError, match="its agent reads format 0"):
        here.publisher.publish([here.publication("demo-1", 1)])


def test_superseded_metadata_goes_after_a_day_and_what_clients_need_stays(tmp_path: Path, here: Kit, url: str) -> None:
    here.publisher.publish([here.publication("demo-1", 1)])
    old = here.store.paths.metadata / "1.snapshot.json"
    here.publisher.publish([here.publication("demo-1", 2)])
    assert old.exists(), "a slow client may still want it"
    for path in here.store.paths.metadata.glob("*.json"):
        os.utime(path, (0, 0))
    here.publisher.publish([here.publication("demo-1", 3)])
    left = {path.name for path in here.store.paths.metadata.glob("*.json")}
    assert not {"1.snapshot.json", "2.snapshot.json"} & left and {"1.root.json", "3.snapshot.json"} <= left
    assert sees(tmp_path, here, url)


def test_copies_and_deltas_give_the_layer_back(here: Kit) -> None:
    old, new = here.publication("demo-1", 1, b"one" * 5000), here.publication("demo-1", 2, b"one" * 5000 + b"more")
    here.publisher.publish([old])
    here.store.offers.save_published(old, "ab" * 32)
    here.publisher.publish([new])
    (pair,) = pairs(old.release, new.release)
    layers = here.store.layers
    assert pair == (old.release.layers()[-1].root, new.release.layers()[-1].root)
    patch = ["zstd", "-dcq", f"--patch-from={layers.path(pair[0])}", str(layers.delta(*pair))]
    wanted = layers.path(pair[1]).read_bytes()
    assert subprocess.run(patch, check=True, capture_output=True).stdout == wanted
    whole = subprocess.run(["zstd", "-dcq", str(layers.zst(pair[1]))], check=True, capture_output=True)
    assert whole.stdout == wanted
