"""File systems that are read without being mounted: real ones give what was put in, hostile ones an answer."""

import gzip
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.media.disk import MediumError
from toweros_agent.media.medium import Medium

from tests.kit.sticks import MIB, stick

CHECKOUT = Path(__file__).resolve().parents[2]
GOLDEN = CHECKOUT / "tests/golden/media"
KINDS = ("vfat", "mbr", "ext4", "exfat", "iso9660")
REPORT = "reports/site-7.json"


def layer(letter: str) -> bytes:
    return b"".join(letter.encode() * 4095 + bytes([48 + number]) for number in range(8))


def fill(folder: Path) -> Path:
    """What the golden images have: two long names, in pieces there."""
    for name, data in (
        ("toweros-bundle.json", b"{}\n"),
        ("repo/metadata/timestamp.json", b"stamp\n"),
        *((f"layers/{letter * 64}.zst", layer(letter)) for letter in "ab"),
        (REPORT, b" " * 16384),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=KINDS)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """exFAT: made by mkfs.exfat and exfat-fuse, in a folder `toweros`; ISO: by xorriso."""
    kind, place = request.param, tmp_path / "stick.img"
    if (golden := GOLDEN / f"{kind}.img.gz").exists():
        place.write_bytes(gzip.decompress(golden.read_bytes()))
        return place
    return stick(fill(tmp_path / "folder"), place, kind, 4)


def test_both_sides_have_the_same_readers() -> None:
    ours, theirs = CHECKOUT / "gitops/noc/media", CHECKOUT / "pkg/agent/toweros_agent/media"
    files = [{path.name: path.read_bytes() for path in folder.glob("*.py")} for folder in (ours, theirs)]
    assert files[0] == files[1]


def test_what_was_put_in_comes_out_and_a_report_changes_nothing_else(image: Path) -> None:
    report = b'{"report": "..."}' * 900
    for _ in range(2):
        with Medium.open(image, write=True) as medium:
            assert medium.read("repo/metadata/timestamp.json", 99) == b"stamp\n"
            for letter in "ab":
                assert medium.read(f"layers/{letter * 64}.zst", MIB) == layer(letter)
            assert medium.size("layers/none") is None and medium.size("repo/none/x") is None
            before = image.read_bytes()
            medium.write(REPORT, report)
            assert medium.read(REPORT, MIB) == report.ljust(16384)
            with pytest.raises(MediumError, match="has room for 16384 bytes"):
                medium.write(REPORT, b"x" * 16385)
            with pytest.raises(MediumError, match="more than 5 bytes"):
                medium.read("repo/metadata/timestamp.json", 5)
    after = image.read_bytes()
    changed = [at for at in range(0, len(before), 4096) if before[at : at + 4096] != after[at : at + 4096]]
    assert len(changed) <= 16384 // 4096 + 1
    check = {"vfat": ["fsck.vfat", "-n"], "ext4": ["e2fsck", "-fn"]}.get(medium.kind)
    if check and not after[446:462].strip(b"\0"):
        subprocess.run([*check, image], check=True, capture_output=True)


def damages(data: bytes, seed: int) -> Iterator[bytes]:
    """What is read first of all file systems, and anything else of it, with other bytes."""
    chance = random.Random(seed)
    places = [at for at in range(0, len(data), 512) if data[at : at + 512].strip(b"\0 ab")]
    for _ in range(24):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 4, 64))):
            at = chance.choice(places) + chance.randrange(512)
            damaged[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        yield bytes(damaged)
    for length in (0, 1, 511, 512, 1024, 4096, len(data) // 2):
        yield data[:length]


MOST_READS = 1000
"""Of one damaged image: what can be read takes some dozens."""


def test_a_hostile_file_system_gets_an_answer_and_soon(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, pread, reads = image.read_bytes(), os.pread, list[int]()

    def counted(handle: int, length: int, offset: int) -> bytes:
        reads.append(offset)
        assert len(reads) < MOST_READS, "it goes round in circles"
        return pread(handle, length, offset)

    monkeypatch.setattr("toweros_agent.media.disk.os.pread", counted)
    answers = {"read": 0, "refused": 0}
    for number, damaged in enumerate(damages(data, 7)):
        image.write_bytes(damaged)
        reads.clear()
        try:
            with Medium.open(image, write=True) as medium:
                for name in ("repo/metadata/timestamp.json", f"layers/{'a' * 64}.zst"):
                    medium.read(name, MIB)
                medium.write(REPORT, b"report")
            assert image.stat().st_size == len(damaged), number
            answers["read"] += 1
        except (MediumError, OSError):
            answers["refused"] += 1
    assert all(answers.values()), answers


def test_a_folder_of_a_million_files_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    """FAT32 whose root folder's chain bites its tail: it has as many names as anybody reads."""
    image = stick(fill(tmp_path / "folder"), tmp_path / "stick.img", "vfat", 64)
    with image.open("r+b") as stream:
        head = stream.read(512)
        sector, per, reserved = int.from_bytes(head[11:13], "little"), head[13], int.from_bytes(head[14:16], "little")
        tables, long, root = head[16], int.from_bytes(head[36:40], "little"), int.from_bytes(head[44:48], "little")
        assert long, "it is no FAT32"
        stream.seek(reserved * sector + 4 * root)
        stream.write(root.to_bytes(4, "little"))
        stream.seek((reserved + tables * long + (root - 2) * per) * sector)
        stream.write((b"NOBODY  TXT" + bytes(21)) * (per * sector // 32))
    with pytest.raises(MediumError, match="a folder of more than"):
        Medium.open(image)


def test_a_link_on_a_stick_is_no_file(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    (folder / "repo/metadata/timestamp.json").unlink()
    (folder / "repo/metadata/timestamp.json").symlink_to("/etc/passwd")
    (folder / "layers/loop").symlink_to("loop")
    with Medium.open(stick(folder, tmp_path / "stick.img", "ext4", 4)) as medium:
        assert medium.size("repo/metadata/timestamp.json") is None and medium.size("layers/loop/x") is None


def test_what_is_no_file_system_is_said_with_what_would_do(tmp_path: Path) -> None:
    image = tmp_path / "stick.img"
    image.write_bytes(random.Random(1).randbytes(MIB))
    with pytest.raises(MediumError, match="FAT, exFAT, ext4, ISO 9660") as empty:
        Medium.open(image)
    assert empty.value.missing
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediumError, match="neither a device nor a file"):
        Medium.open(tmp_path / "pipe")
