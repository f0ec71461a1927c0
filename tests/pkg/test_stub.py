"""What the stub takes for an addon's words, a name and an image: its own functions, compiled for this machine."""

import random
import subprocess
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import Section, add_sections
from tests.kit import built
from tests.kit.pe import a_pe_file

HERE = Path(__file__).parent
STUB = built.CHECKOUT / "pkg" / "bootloader" / "stub"
CHECKS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=alignment")


class Functions:
    """The compiled harness."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def __call__(self, *words: str, data: bytes = b"") -> str:
        done = subprocess.run([self._program, *words], input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode().rstrip("\n")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Functions:
    program = tmp_path_factory.mktemp("stub") / "harness"
    flags = ["-std=c11", "-O1", "-w", "-fshort-wchar", "-ffreestanding", "-I", str(STUB), *CHECKS]
    subprocess.run(["gcc", *flags, str(HERE / "stub_harness.c"), "-o", program], check=True)
    return Functions(program)


WORDS = "toweros.release=00 toweros.sequence=7"


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (WORDS, "1"),
        (f"{WORDS} rdinit=/bin/sh", "0"),
        (f"rdinit=/bin/sh {WORDS}", "0"),
        (f"{WORDS}  init=/bin/sh", "0"),
        (f"{WORDS} --", "0"),
        (f"{WORDS} toweros", "0"),
        (f"{WORDS} toweros.", "0"),
        (f'toweros.server="a {WORDS}"', "0"),
        (f"{WORDS}\tinit=/bin/sh", "0"),
        (f"{WORDS}\ninit=/bin/sh", "0"),
        ("", "0"),
    ],
)
def test_an_addon_speaks_of_a_release_alone(stub: Functions, words: str, taken: str) -> None:
    assert stub("addon", words) == taken


def test_the_line_is_the_ukis_words_then_the_addons(stub: Functions) -> None:
    assert stub("line", "quiet", WORDS) == f"1 quiet {WORDS}"
    assert stub("line", "", WORDS) == f"1 {WORDS}"
    assert stub("line", "x" * 3000, "y" * 1500) == "0 " + "x" * 3000, "what does not fit is not cut"
    assert stub("line", "quiet", "bell\a") == "0 quiet"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("toweros-10+3.efi", "toweros-10.efi"),
        ("toweros-10+2-1.efi", "toweros-10.efi"),
        ("toweros-10+0-31.efi", "toweros-10.efi"),
        ("toweros-10.efi", "toweros-10.efi"),
        ("toweros-10-3.efi", "toweros-10-3.efi"),
        ("toweros+.efi", "toweros+.efi"),
        ("toweros+-1.efi", "toweros+-1.efi"),
        ("+1.efi", ".efi"),
        ("1.efi", "1.efi"),
        (".efi", ".efi"),
        ("efi", "efi"),
        ("", ""),
    ],
)
def test_the_count_of_tries_is_no_part_of_the_name(stub: Functions, name: str, plain: str) -> None:
    assert stub("tries", name) == plain


def loaded(*sections: Section) -> bytes:
    """An image as the firmware lays it out in memory."""
    file = add_sections(a_pe_file(), sections)
    memory = bytearray(0x8000)
    memory[:1024] = file[:1024]
    for index in range(1 + len(sections)):
        row = 64 + 24 + 240 + 40 * index
        address, raw, place = (int.from_bytes(file[row + at : row + at + 4], "little") for at in (12, 16, 20))
        memory[address : address + raw] = file[place : place + raw]
    return bytes(memory)


def test_a_section_is_found_by_its_whole_name(stub: Functions) -> None:
    assert stub("image", data=loaded(Section(".cmd", b"no"), Section(".cmdline", b"quiet\0"))) == "5"
    assert stub("image", data=loaded(Section(".cmdlin", b"quiet\0"))) == "-2"


def test_no_damaged_image_is_read_beyond_its_end(stub: Functions) -> None:
    good, chance = loaded(Section(".cmdline", b"quiet")), random.Random(11)
    assert stub("image", data=b"") == stub("image", data=good[:4000]) == "-2"
    for _ in range(60):
        bad = bytearray(good[: chance.choice((4096, 5000, len(good)))])
        for _ in range(chance.randint(1, 6)):
            at = chance.choice((60, 64, 68, 70, 84, 88, chance.randrange(328, 408)))
            bad[at : at + 4] = chance.choice((bytes(4), b"\xff" * 4, chance.randbytes(4)))
        stub("image", data=bytes(bad))


LEAVES = {
    "returns": bytes.fromhex("b801000000 c3"),
    "exits": bytes.fromhex("488b4260 488b80d8000000 4883ec28 ffd0 4883c428 c3"),  # system->boot->exit()
}
"""What a kernel's own stub does when it gives up: it returns, or leaves by the image's handle (UEFI 7.4, Exit)."""


def a_kernel(code: bytes) -> bytes:
    """An image for this machine, all of it headers."""
    made = bytearray(8192)
    made[:2], made[0x3C] = b"MZ", 64
    made[64:72] = b"PE\0\0\x64\x86\0\0"
    made[88:90] = b"\x0b\x02"
    for at, number in ((40, 2048), (80, 8192), (84, 4096)):
        made[64 + at : 68 + at] = number.to_bytes(4, "little")
    made[2048 : 2048 + len(code)] = code
    return bytes(made)


@pytest.mark.parametrize(
    ("kernel", "left"),
    [
        (b"no kernel", "return 0"),
        (a_kernel(LEAVES["returns"]), "reset 0"),
        (a_kernel(LEAVES["exits"]), "reset 0"),
    ],
    ids=["none", "returns", "exits"],
)
def test_a_kernel_that_gives_up_leaves_no_initrd_to_the_next_entry(stub: Functions, kernel: bytes, left: str) -> None:
    """systemd's stub of the entry before refuses to start beside one: EFI_ALREADY_STARTED."""
    parts = [Section(".cmdline", b"quiet\0"), Section(".initrd", b"initrd"), Section(".linux", kernel)]
    assert stub("start", data=loaded(*parts)) == left
