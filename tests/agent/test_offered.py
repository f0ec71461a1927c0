"""What the agent takes for offered: what is signed, for this box, now; and what it says of all else."""

import json
import socket
import time
from calendar import timegm
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent.nouns import Refused
from toweros_agent.offer import net
from toweros_agent.offer.carried import Carried
from toweros_agent.offer.net import Http, NetError
from toweros_agent.offer.repository import MAX_METADATA, seen
from toweros_agent.offer.trust import AHEAD, MAX_TIMESTAMP, Trust
from tuf.api.metadata import TargetFile

from tests.simulators.box import make
from tests.simulators.update_server import UpdateServer, endless, garbage

NAMES = ("release.json", "uki.efi", "addon.efi")


@pytest.fixture
def trust(tmp_path: Path, server: UpdateServer) -> Trust:
    publish(server)
    return asking(server, tmp_path)


def asking(server: UpdateServer, folder: Path) -> Trust:
    (folder / "tuf").mkdir(exist_ok=True)
    return Trust(Http(lambda: None, lambda _: None), folder / "tuf", server.root, server.url, "demo-1")


def publish(server: UpdateServer, sequence: int = 8, *, loader: bytes = b"", days: float = 1) -> None:
    made = make(sequence)
    server.publish(made.document, made.uki, made.addon, loader=loader, days=days)


def test_an_offer_is_what_is_signed_for_the_box_and_holds_as_long_as_its_timestamp(
    trust: Trust, server: UpdateServer
) -> None:
    offer, made = trust.offer(), make(8)
    assert (offer.sequence, offer.content) == (8, made.content) and offer.loader is None
    told = {target.path: (target.sha256, target.length) for target in (offer.release, offer.uki, offer.addon)}
    files = zip(NAMES, (made.document, made.uki, made.addon), strict=True)
    assert told == {f"demo-1/{name}": (sha256(data).hexdigest(), len(data)) for name, data in files}
    signed = json.loads(server.files["/metadata/timestamp.json"])["signed"]
    assert offer.expires == timegm(time.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%SZ"))


def test_the_boot_loader_is_offered_where_it_is_signed_for_the_box(trust: Trust, server: UpdateServer) -> None:
    publish(server, loader=b"systemd-boot")
    loader = trust.offer().loader
    assert loader and (loader.path, loader.sha256) == ("demo-1/loader.efi", sha256(b"systemd-boot").hexdigest())


def test_whether_there_is_something_new_is_asked_until_it_was_taken(trust: Trust, server: UpdateServer) -> None:
    assert trust.changed() and trust.changed(), "nothing was taken yet"
    trust.offer()
    assert not trust.changed()
    publish(server, 9)
    assert trust.changed() and trust.changed()
    old = server.files["/metadata/2.snapshot.json"]
    server.files["/metadata/2.snapshot.json"] = b"{}"
    with pytest.raises(Refused):
        trust.offer()
    assert trust.changed(), "what was refused is looked at again"
    server.files["/metadata/2.snapshot.json"] = old
    assert trust.offer().sequence == 9 and not trust.changed()


@pytest.mark.parametrize("missing", NAMES)
def test_a_box_that_has_not_all_of_its_files_is_offered_nothing(
    trust: Trust, server: UpdateServer, missing: str
) -> None:
    targets = {name: TargetFile.from_data(f"demo-1/{name}", b"x", ["sha256"]) for name in NAMES if name != missing}
    server.sign({target.path: target for target in targets.values()}, 1)
    with pytest.raises(Refused, match=f"^metadata: there is no demo-1/{missing}$"):
        trust.offer()


def test_another_boxs_files_are_not_this_boxs(trust: Trust) -> None:
    trust.box = "demo-2"
    with pytest.raises(Refused, match=r"there is no demo-2/release\.json"):
        trust.offer()


def test_a_digest_of_another_kind_is_no_digest(trust: Trust, server: UpdateServer) -> None:
    targets = {name: TargetFile.from_data(f"demo-1/{name}", b"x", ["sha512"]) for name in NAMES}
    server.sign({target.path: target for target in targets.values()}, 1)
    with pytest.raises(Refused, match=r"^metadata: KeyError"):
        trust.offer()


def test_a_server_that_is_gone_is_no_refusal_and_says_why(trust: Trust) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        trust.url = f"http://127.0.0.1:{free.getsockname()[1]}/metadata"
    for ask in (trust.changed, trust.offer):
        with pytest.raises(NetError, match="refused"):
            ask()


def test_a_stick_that_fails_at_the_boxs_own_timestamp_shows_no_other_one(trust: Trust) -> None:
    """It may be there and the other one be years old; where it is not there, that one counts."""
    asked = list[str]()

    class Failing(Carried):
        status = 500

        def read(self, url: str, limit: int) -> bytes:
            asked.append(url)
            if len(asked) == 1:
                raise NetError(f"{url}: broken", self.status)
            return b"all boxes'"

    with pytest.raises(NetError, match="broken"):
        trust.stamp(Failing())
    assert asked == ["bundle:/metadata/boxes/demo-1/timestamp.json"]
    asked.clear()
    Failing.status = 404
    assert trust.stamp(Failing()) == b"all boxes'" and asked[1] == "bundle:/metadata/timestamp.json"


def test_a_server_without_metadata_is_told_with_its_answer(trust: Trust, server: UpdateServer) -> None:
    del server.files["/metadata/timestamp.json"]
    with pytest.raises(NetError, match=r"^metadata: .*HTTP 404"):
        trust.offer()


def test_metadata_without_end_is_read_to_its_limit_and_a_large_one_is_no_metadata(
    trust: Trust, server: UpdateServer
) -> None:
    server.faults["/metadata/timestamp.json"] = endless
    with pytest.raises(NetError, match=f"more than the {MAX_TIMESTAMP} bytes"):
        trust.changed()
    with pytest.raises(NetError, match="more than the"):
        trust.offer()
    server.faults = {"/metadata/1.targets.json": endless}
    with pytest.raises(NetError, match=f"more than the {MAX_METADATA} bytes"):
        trust.offer()
    assert trust.http.received < 2 * MAX_METADATA


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_noise_in_the_place_of_metadata_is_refused(trust: Trust, server: UpdateServer, name: str) -> None:
    server.faults[f"/metadata/{name}"] = garbage
    with pytest.raises(Refused, match=r"^metadata: DeserializationError"):
        trust.offer()


def test_another_root_signs_nothing_for_this_box(tmp_path: Path, server: UpdateServer) -> None:
    publish(server)
    with UpdateServer("demo-1") as stranger, pytest.raises(Refused, match=r"^metadata: UnsignedMetadataError"):
        publish(stranger)
        Trust(Http(lambda: None, lambda _: None), tmp_path, server.root, stranger.url, "demo-1").offer()


@pytest.mark.parametrize(
    ("date", "clock"),
    [(-AHEAD - 60, True), (-AHEAD + 60, False), (60, False), (None, False)],
    ids=["ahead", "a-little", "behind", "nobody-knows"],
)
def test_a_clock_is_blamed_for_what_looks_expired_only_where_it_is_ahead(
    trust: Trust, server: UpdateServer, date: float | None, clock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, days=-1)
    if date is None:
        monkeypatch.setattr(net, "_date", lambda response: 0.0)
    else:
        server.date = lambda: time.time() + date
    with pytest.raises(Refused) as caught:
        trust.offer()
    text = str(caught.value)
    assert text.startswith("metadata: the clock is ahead: it says 2" if clock else "metadata: ExpiredMetadataError")
    if clock:
        ours, theirs = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + ahead)) for ahead in (0, date or 0))
        assert f"it says {ours[:13]}" in text and f"the server {theirs[:13]}" in text


def test_what_was_believed_last_is_told_and_what_is_damaged_is_not(trust: Trust, server: UpdateServer) -> None:
    assert seen(trust.folder) is None
    trust.offer()
    publish(server)
    trust.offer()
    data = (trust.folder / "timestamp.json").read_bytes()
    assert seen(trust.folder) == {"timestamp": 2, "snapshot": 2, "sha256": sha256(data).hexdigest()}
    for damaged in (b"", b"[]", b"{}", b'{"signed": {"version": 1}}'):
        (trust.folder / "timestamp.json").write_bytes(damaged)
        assert seen(trust.folder) is None


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[]", b'{"signed": {"expires": 5}}', b'{"signed": {"expires": "soon"}}']
)
def test_a_timestamp_that_the_disk_does_not_give_back_is_no_offer(
    trust: Trust, damaged: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was good when it was believed; what the offer says of its end is read again."""
    real = Trust._target

    def target(self: Trust, *words: object) -> object:
        (self.folder / "timestamp.json").write_bytes(damaged)
        return real(self, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Trust, "_target", target)
    with pytest.raises(Refused, match=r"^metadata: timestamp\.json: "):
        trust.offer()
