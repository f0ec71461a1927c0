"""Every key can be replaced, and boxes follow: the agent's own trust and python-tuf's client read what is served.

The controller that publishes is the same object all along, as one that runs for months while keys change beside it.
"""

import json
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from toweros_agent.nouns import Refused
from tuf.api.metadata import Metadata, Root, Timestamp

from gitops.errors import SignError
from gitops.sign import Signer, keys
from gitops.sign.receipts import Receipts
from gitops.sign.roots import draft as drafts
from gitops.sign.roots import rotation
from gitops.sign.roots.rotation import NEXT, RootKeys
from tests.kit.console import toweros
from tests.kit.followed import Box, served
from tests.kit.published import PASSPHRASE, Kit, kit

NOW = datetime.now(UTC)


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    made = kit(tmp_path / "kit")
    made.publisher.publish([made.publication("demo-1", 1)])
    return made


@pytest.fixture
def folder(here: Kit) -> Path:
    return here.folder / "keys"


@pytest.fixture
def url(here: Kit) -> Iterator[str]:
    with served(here) as url:
        yield url


@pytest.fixture
def box(here: Kit, url: str, tmp_path: Path) -> Box:
    made = Box(here, url, tmp_path / "box")
    assert made.sees() == 1
    return made


def rotate(folder: Path, role: str, wanted: RootKeys | None = None) -> str:
    return rotation.rotate(folder, role, PASSPHRASE, NOW, wanted)


def newest(folder: Path) -> Root:
    return Metadata[Root].from_bytes((folder / "root.json").read_bytes()).signed


def test_a_box_follows_every_role_and_five_roots_with_new_keys_each_from_its_first_one_on(
    here: Kit, folder: Path, box: Box, url: str, tmp_path: Path
) -> None:
    before = {role: {*newest(folder).roles[role].keyids} for role in ("root", *keys.tuf.ONLINE)}
    for number, role in enumerate(keys.tuf.ONLINE, start=2):
        assert rotate(folder, role) == ""
        here.publisher.publish([here.publication("demo-1", number, role.encode())])
        assert box.sees() == number and box.root() == number
    for _ in range(5):  # and it is off meanwhile
        known = {*newest(folder).roles["root"].keyids}
        assert rotate(folder, "root") == ""
        assert not known & {*newest(folder).roles["root"].keyids}
        here.publisher.refresh()
    here.publisher.publish([here.publication("demo-1", 9, b"nine")])
    assert box.sees() == 9 and box.root() == 9
    assert Box(here, url, tmp_path / "older").sees() == 9, "a disk that was made long ago"
    for role, keyids in before.items():
        assert not keyids & {*newest(folder).roles[role].keyids}
    assert len([*folder.glob("root/root-*.pem")]) == 1 and len([*folder.glob("root/retired/*.pem")]) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.pem")} == {0o600}
    assert not (folder / NEXT).exists() and not [*folder.glob("*.new")]


def test_what_a_stolen_timestamp_key_signs_is_refused_after_its_rotation(here: Kit, folder: Path, box: Box) -> None:
    """A freeze for ever: the thief says that the newest timestamp is number two thousand million."""
    thief = keys.load_online(folder)["timestamp"]
    place = here.store.paths.metadata / "boxes" / "demo-1" / "timestamp.json"
    honest = place.read_bytes()

    def forge(version: int) -> bytes:
        forged = Metadata[Timestamp].from_bytes(honest)
        forged.signed.version, forged.signed.expires = version, NOW.replace(microsecond=0) + timedelta(days=3650)
        forged.sign(thief)
        return forged.to_bytes()

    place.write_bytes(forge(2_000_000_000))
    assert box.sees() == 1, "nobody can tell"
    place.write_bytes(honest)
    assert rotate(folder, "timestamp") == ""
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2, "although the honest number is lower"
    place.write_bytes(forge(2_000_000_001))
    with pytest.raises(Refused, match="timestamp was signed by 0/1 keys"):
        box.sees()
    place.write_bytes(honest)
    with pytest.raises(Refused, match="timestamp was signed by 0/1 keys"):
        box.sees()


def test_a_ceremony_on_three_machines_and_the_loss_of_one_of_them(
    here: Kit, folder: Path, box: Box, tmp_path: Path
) -> None:
    """The commands are those of docs/keys.md, "Root keys on several machines"."""
    (tmp_path / "pass").write_bytes(PASSPHRASE)
    secret = ["--passphrase-file", str(tmp_path / "pass")]
    machines = {name: tmp_path / name for name in ("ada", "ben", "cem", "dan")}
    for name, machine in machines.items():
        machine.mkdir()
        made = toweros("keys", "make", machine / f"{name}.pem", *secret)
        assert made.exit_code == 0 and b"ENCRYPTED" in (machine / f"{name}.pem").read_bytes()
        assert toweros("keys", "make", machine / f"{name}.pem", *secret).exit_code == 1, "never overwritten"

    def signed(name: str, draft: Path) -> Path:
        copy = Path(shutil.copy(draft, machines[name]))
        done = toweros("keys", "sign", copy, "--key", machines[name] / f"{name}.pem", *secret)
        assert done.exit_code == 0, done.stderr
        assert drafts.digest(drafts.read(draft.read_bytes())) in done.stdout, "which all of them compare"
        return copy

    def halves(*names: str) -> list[str]:
        return [f"--root-key={machines[name] / f'{name}.pem.pub'}" for name in names]

    waits = toweros("keys", "rotate", "root", folder, *halves("ada", "ben", "cem"), "--threshold", "2", *secret)
    assert waits.exit_code == 1 and "0 of 2 keys of the new root have signed" in str(waits.exception)
    draft, first = folder / NEXT, (folder / "root.json").read_bytes()
    again = toweros("keys", "import", signed("ada", draft), folder)
    assert again.exit_code == 1 and "1 of 2 keys of the new root have signed" in str(again.exception)
    assert (folder / "root.json").read_bytes() == first, "nothing that is in use changed"
    assert toweros("keys", "import", signed("ben", draft), folder, "--public", tmp_path / "public").exit_code == 0
    assert (tmp_path / "public" / "root.json").read_bytes() == (folder / "root.json").read_bytes() != first
    here.publisher.refresh()
    assert box.sees() == 1 and box.root() == 2 and newest(folder).roles["root"].threshold == 2

    shutil.rmtree(machines["ada"])  # lost, and whoever found it has one key of two
    shutil.rmtree(folder / "root")
    waits = toweros("keys", "rotate", "root", folder, *halves("ben", "cem", "dan"), *secret)
    assert waits.exit_code == 1
    assert toweros("keys", "import", signed("ben", draft), folder).exit_code == 1
    done = toweros("keys", "import", signed("cem", draft), folder)
    assert done.exit_code == 0 and "keys/root.json of the fleet repo" in " ".join(done.output.split())
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2 and box.root() == 3

    waits = toweros("keys", "rotate", "timestamp", folder, *secret)
    assert waits.exit_code == 1 and len([*folder.glob("timestamp.*.pem.new")]) == 1
    here.publisher.publish([here.publication("demo-1", 3, b"three")])
    assert box.sees() == 3, "a draft that waits stops nothing"
    assert toweros("keys", "import", signed("dan", draft), folder).exit_code == 1
    assert toweros("keys", "import", signed("cem", draft), folder).exit_code == 0
    here.publisher.publish([here.publication("demo-1", 4, b"four")])
    assert box.sees() == 4 and box.root() == 4


def test_another_draft_and_a_signature_that_does_not_hold_are_not_taken(folder: Path, tmp_path: Path) -> None:
    half = rotation.make_key(tmp_path / "ada.pem", PASSPHRASE)
    assert rotate(folder, "root", RootKeys(others=(half,)))
    with pytest.raises(SignError, match="this is no draft of a root"):
        rotation.take(folder, b"[" * 100_000)
    with pytest.raises(SignError, match="this is no draft of a root"):
        rotation.take(folder, b"{}" + b" " * drafts.MAX_DRAFT)
    ours = drafts.read((folder / NEXT).read_bytes())
    evil = Metadata[Root].from_bytes((folder / NEXT).read_bytes())
    evil.signed.roles["timestamp"].keyids = [CryptoSigner.generate_ed25519().public_key.keyid]
    with pytest.raises(SignError, match="another draft") as refused:
        rotation.take(folder, evil.to_bytes())
    assert drafts.digest(ours) in refused.value.hint
    forged = json.loads((folder / NEXT).read_bytes())
    forged["signatures"].append({"keyid": newest_key(ours.signed), "sig": "00" * 64})
    with pytest.raises(SignError, match="does not hold"):
        rotation.take(folder, json.dumps(forged).encode())
    stranger = Metadata[Root].from_bytes((folder / NEXT).read_bytes())
    stranger.sign(CryptoSigner.generate_ed25519(), append=True)
    assert "0 of 1 keys of the new root" in rotation.take(folder, stranger.to_bytes()), "it counts for nothing"


def newest_key(root: Root) -> str:
    return root.roles["root"].keyids[0]


def test_a_threshold_that_nobody_can_meet_is_refused_before_anything_changes(folder: Path) -> None:
    before = (folder / "root.json").read_bytes()
    with pytest.raises(SignError, match="a threshold of 3 cannot be met by 2 root keys"):
        rotate(folder, "root", RootKeys(made=2, threshold=3))
    with pytest.raises(SignError, match="cannot be unlocked"):
        rotation.rotate(folder, "root", b"wrong", NOW)
    assert (folder / "root.json").read_bytes() == before and not (folder / NEXT).exists()


def test_whoever_was_stopped_between_root_and_key_goes_on(
    here: Kit, folder: Path, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "finish", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            draft = drafts.make(newest(folder), NOW, drafts.Change())
            key = CryptoSigner.generate_ed25519()
            keys.write(folder / "timestamp.0.pem.new", key.private_bytes)
            draft.signed.revoke_key(newest(folder).roles["timestamp"].keyids[0], "timestamp")
            draft.signed.add_key(key.public_key, "timestamp")
            drafts.sign(draft, drafts.root_keys(draft.signed), rotation._here(folder, PASSPHRASE).values())
            rotation._settle(folder, draft, newest(folder))
    (folder / "root.json").write_bytes((folder / "1.root.json").read_bytes())  # before this, too
    here.publisher.refresh()
    assert box.sees() == 1 and box.root() == 2, "the controller goes on by itself"
    assert rotation.take(folder, b"") == "" and not (folder / NEXT).exists()
    assert newest(folder).version == 2 and not [*folder.glob("*.new")]
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2


def test_a_root_is_renewed_with_the_keys_that_it_has(here: Kit, folder: Path, box: Box) -> None:
    before = newest(folder)
    assert rotation.renew(folder, PASSPHRASE, NOW + timedelta(days=1)) == ""
    after = newest(folder)
    assert after.expires > before.expires and after.roles == before.roles
    here.publisher.refresh()
    assert box.sees() == 1 and box.root() == 2


def test_a_new_key_for_receipts_is_named_by_the_next_pass(here: Kit, folder: Path, tmp_path: Path) -> None:
    def named() -> set[str]:
        targets = Signer.open(folder).targets(lambda name: (here.store.paths.metadata / name).read_bytes())
        return {str(each.custom["receipts"]) for each in targets.values() if "receipts" in each.custom}

    old = Receipts.made(here.store).public
    assert named() == {old}
    config = tmp_path / "toweros.toml"
    config.write_text(f'state = "{here.store.paths.root}"\nkeys = "{folder}"\nrepository = "{tmp_path}"\n')
    assert toweros("keys", "rotate", "receipts", "--config", config).exit_code == 0
    here.publisher.refresh()
    assert named() == {Receipts.made(here.store).public} != {old}


def test_a_rotation_that_fails_destroys_no_key_of_the_draft_that_waits(folder: Path, tmp_path: Path) -> None:
    half = rotation.make_key(tmp_path / "ada.pem", PASSPHRASE)
    assert rotate(folder, "root", RootKeys(made=1, others=(half,), threshold=2))
    draft = tmp_path / "draft"
    shutil.copy(folder / NEXT, draft)
    with pytest.raises(SignError, match="a threshold of 3"):
        rotate(folder, "root", RootKeys(made=1, others=(half,), threshold=3))
    rotation.sign_file(draft, keys.load_root_keys([tmp_path / "ada.pem"], PASSPHRASE)[0])
    assert rotation.take(folder, draft.read_bytes()) == ""
    held = {each.public_key.keyid for each in rotation._here(folder, PASSPHRASE).values()}
    assert len(held & {*newest(folder).roles["root"].keyids}) == 1, "the key that was made for it is here"

    assert rotate(folder, "timestamp")
    shutil.copy(folder / NEXT, draft)
    with pytest.raises(SignError, match="cannot be unlocked"):
        rotation.rotate(folder, "timestamp", b"mistyped", NOW)
    rotation.sign_file(draft, keys.load_root_keys([tmp_path / "ada.pem"], PASSPHRASE)[0])
    assert rotation.take(folder, draft.read_bytes()) == ""
    named = newest(folder).roles["timestamp"].keyids
    assert keys.load_online(folder)["timestamp"].public_key.keyid in named
