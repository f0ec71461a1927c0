"""Each way to change a signed record of deployments is refused by its name, whoever has which key."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.sign.record.key import RecordKey, lines, rotate
from gitops.source.record.chain import Reader
from gitops.source.record.entry import Entry, Recorded, following, made, public_bytes, read_entry

FLEET, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
FIRST = Recorded(FLEET, 1, "main", "c" * 40, 7, 0, 1_795_000_000, 3, "d" * 64, False, ("ada",))


def public(folder: Path) -> tuple[bytes, ...]:
    return tuple(public_bytes("ssh-" + line.partition(" ssh-")[2]) for line in lines(folder))


@dataclass
class Desk:
    """Two controllers' keys folders."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "ours").mkdir()
        (self.folder / "theirs").mkdir()
        self.key, self.foreign = RecordKey.open(self.folder / "ours"), RecordKey.open(self.folder / "theirs")
        self.reader = Reader(FLEET, public(self.folder / "ours"))

    def after(self, before: Entry | None, key: RecordKey | None = None, /, **change: object) -> Entry:
        said = replace(FIRST, **{"sequence": FIRST.sequence + (before.statement.number if before else 0)})
        said = replace(said, **{**following(before), **change})
        return made(said, before.id if before else "", (key or self.key).sign)

    def chain(self, count: int) -> list[Entry]:
        entries = [self.after(None)]
        for _ in range(count - 1):
            entries.append(self.after(entries[-1]))
        return entries

    def says(self, entries: list[Entry], after: Entry | None = None) -> str:
        return self.says_of([entry.raw for entry in entries], after)

    def says_of(self, raws: list[bytes], after: Entry | None = None) -> str:
        with pytest.raises(SourceError) as refusal:
            self.reader.entries(raws, after)
        assert refusal.value.reason == "RecordDamaged"
        return refusal.value.message


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_record_reads_as_it_was_written(desk: Desk) -> None:
    entries = desk.chain(4)
    assert desk.reader.entries([entry.raw for entry in entries]) == entries
    assert desk.reader.entries([entries[3].raw], entries[2]) == entries[3:]


@pytest.mark.parametrize("name", ["release\u3000v1.0.0", "ma\u00a0in", "feature/\u2028"])
def test_a_ref_with_another_kind_of_space_is_read_as_it_was_written(desk: Desk, name: str) -> None:
    """Git has such refs: an entry that is written and cannot be read would end the record."""
    assert read_entry(desk.after(None, ref=name).raw).statement.ref == name


def test_an_entry_that_nobody_could_read_is_not_written(desk: Desk) -> None:
    with pytest.raises(SourceError, match="16 KiB"):
        desk.after(None, signers=tuple(f"{number}{'x' * 900}" for number in range(64)))
    with pytest.raises(SourceError):
        desk.after(None, signers=("x" * 1001,))


def test_stock_git_and_ssh_keygen_verify_an_entry(desk: Desk, tmp_path: Path) -> None:
    """A signature of ours is good to them, and one of theirs to us."""
    run = ["git", "-C", str(tmp_path / "clone")]
    subprocess.run(["git", "init", "-q", str(tmp_path / "clone")], check=True)
    subprocess.run([*run, "hash-object", "-w", "-t", "tree", "/dev/null"], check=True, capture_output=True)
    (tmp_path / "allowed").write_text("\n".join(lines(tmp_path / "ours")))
    subprocess.run([*run, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed")], check=True)
    for entry in desk.chain(2):
        write = [*run, "hash-object", "-w", "-t", "commit", "--stdin"]
        name = subprocess.run(write, input=entry.raw, check=True, capture_output=True).stdout.decode().strip()
        assert name == entry.id
        good = subprocess.run([*run, "verify-commit", name], capture_output=True, text=True, check=True)
        assert 'Good "git" signature for toweros-record' in good.stderr
    subprocess.run([*run, "fsck", "--strict"], check=True, capture_output=True)


ATTACKS: dict[str, tuple[Callable[[list[Entry]], list[Entry]], str]] = {
    "cut in the middle": (lambda chain: [chain[0], *chain[2:]], "entry 3 stands where entry 2 belongs"),
    "cut at the beginning": (lambda chain: chain[1:], "entry 2 stands where entry 1 belongs"),
    "reordered": (lambda chain: [chain[0], chain[2], chain[1]], "entry 3 stands where entry 2 belongs"),
    "twice the same": (lambda chain: [chain[0], chain[0]], "entry 1 stands where entry 2 belongs"),
    "moved to another parent": (
        lambda chain: [chain[0], replace(chain[1], parent="a" * 40)],
        "entry 2 does not follow",
    ),
    "another word in it": (
        lambda chain: [replace(chain[0], statement=replace(FIRST, commit="e" * 40))],
        "its signature is bad",
    ),
    "another time": (
        lambda chain: [replace(chain[0], statement=replace(FIRST, time=FIRST.time + 1))],
        "its signature is bad",
    ),
    "another's signature": (lambda chain: [replace(chain[0], signature=chain[1].signature)], "its signature is bad"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_record_that_was_cut_or_changed_is_refused_by_its_entry(desk: Desk, attack: str) -> None:
    change, said = ATTACKS[attack]
    assert said in desk.says(change(desk.chain(3)))


def test_a_record_that_was_signed_again_by_another_key_is_refused(desk: Desk) -> None:
    assert "entry 1 is signed by another key" in desk.says([desk.after(None, desk.foreign)])
    first = desk.after(None)
    assert "entry 2 is signed by another key" in desk.says([desk.after(first, desk.foreign)], first)


def test_an_entry_of_another_fleet_is_refused_though_our_key_signed_it(desk: Desk) -> None:
    first = desk.after(None)
    assert f"entry 2 is of fleet {OTHER}, not of {FLEET}" in desk.says([first, desk.after(first, fleet=OTHER)])


def test_two_entries_with_one_sha1_would_still_be_told_apart(desk: Desk) -> None:
    """The entry before is named by SHA-256, too: a parent of the right name is not enough."""
    first = desk.after(None)
    assert "entry 2 does not follow" in desk.says([first, desk.after(first, before="0" * 64)])


def test_a_key_that_was_replaced_signs_nothing_new(desk: Desk, tmp_path: Path) -> None:
    first = desk.after(None)
    stolen = (tmp_path / "ours" / "record").read_bytes()
    rotate(tmp_path / "ours")
    new = RecordKey.open(tmp_path / "ours")
    desk.reader = Reader(FLEET, public(tmp_path / "ours"))
    second = desk.after(first, new)
    assert desk.reader.entries([first.raw, second.raw]) == [first, second]
    (tmp_path / "theirs" / "record").write_bytes(stolen)
    old = RecordKey.open(tmp_path / "theirs")
    assert "entry 3 is signed by a key that was replaced" in desk.says([first, second, desk.after(second, old)])
    assert [line.split()[0] for line in lines(tmp_path / "ours")] == ["toweros-record", "toweros-record"]


def doctored(entry: Entry) -> dict[str, bytes]:
    """Commits that some readers would take for the same entry."""
    raw = entry.raw
    return {
        "another header": raw.replace(b"\ngpgsig", b"\nencoding UTF-7\ngpgsig"),
        "a second parent": raw.replace(b"author", b"parent " + b"b" * 40 + b"\nauthor", 1),
        "files": raw.replace(b"tree 4b825dc6", b"tree 00000000"),
        "another author": raw.replace(b"author TowerOS", b"author Eve"),
        "other words for people": raw.replace(b"deployment 1: main", b"deployment 1: prod"),
        "a member twice": raw.replace(b'"boxes":3', b'"boxes":3,"boxes":3'),
        "a member more": raw.replace(b'"boxes":3', b'"boxes":3,"boxed":3'),
        "a member less": raw.replace(b'"boxes":3,', b""),
        "a number as text": raw.replace(b'"boxes":3', b'"boxes":"3"'),
        "a number below zero": raw.replace(b'"boxes":3', b'"boxes":-3'),
        "a truth for a number": raw.replace(b'"boxes":3', b'"boxes":true'),
        "another format": raw.replace(b'"format":1', b'"format":2'),
        "a commit's short name": raw.replace(b"c" * 40, b"c" * 12),
        "text behind it": raw + b"\n",
        "no document": raw.partition(b"{")[0],
        "deep nesting": raw.partition(b"{")[0] + b"[" * 5000,
        "no signature": raw.partition(b"gpgsig")[0] + raw[raw.index(b"\n\n") + 1 :],
        "an OpenPGP signature": raw.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
        "two signatures": raw.replace(b"\n\n", b"\ngpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n\n", 1),
        "no commit": b"blob of something",
        "nothing": b"",
        "bytes that are no text": raw.replace(b"ada", b"\xff\xfe\xfd"),
    }


def test_what_is_not_written_as_the_controller_writes_it_is_no_entry(desk: Desk) -> None:
    entry = desk.after(None)
    assert read_entry(entry.raw) == entry
    for attack, raw in doctored(entry).items():
        assert raw != entry.raw, attack
        said = desk.says_of([raw])
        assert ("a format that this version does not read" in said) == (attack == "another format"), attack


def test_a_signature_of_another_namespace_or_kind_of_key_is_none(desk: Desk, tmp_path: Path) -> None:
    first = desk.after(None)
    for name, words in {"file": ["-t", "ed25519"], "git": ["-t", "ecdsa"]}.items():
        place = tmp_path / f"key-{name}"
        subprocess.run(["ssh-keygen", "-q", *words, "-N", "", "-f", str(place)], check=True)
        command = ["ssh-keygen", "-Y", "sign", "-q", "-n", name, "-f", str(place)]
        forged = made(
            first.statement, "", lambda data, c=command: subprocess.run(c, input=data, capture_output=True).stdout
        )
        assert "its signature is bad" in desk.says([forged])
