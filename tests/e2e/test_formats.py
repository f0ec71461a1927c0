"""Every format that boots is booted, by `toweros run`: kernel, command line and root are what the spec says.

The kernel is ours, which has file systems and disks as modules: where LinuxKit's would mount the root by itself, an
initrd of the test loads them first.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.lab.image import FORMATS, ROOTS, Asked, command
from tests.kit import built, linuxkit

TOWEROS = Path(sys.executable).parent / "toweros"
LIMIT = 400
"""Seconds, of a machine among many."""
MEMORY = 256
SMALL = Asked(memory=MEMORY)
SAID = f"{linuxkit.SAYS} [{{}}console=ttyS0 quiet panic=-1 no_timer_check note=a{{}}] inodes: 1, note: of a file"
SAME = ("aws", "dynamic-vhd", "iso-efi-initrd")
"""What another format is, with another end or name (tests/assemble/formats)."""
BOOTED = [each for each in FORMATS if each not in SAME]
WRAPPED = ("qcow2-bios", "qcow2-efi", "vmdk", "vhd")
"""The same sectors as a raw disk, which `qemu-img compare` says there too: booted by `make soak`."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all formats, by the command line; the image tools come from an OCI layout, as there is no store."""
    folder = tmp_path_factory.mktemp("formats")
    images = linuxkit.system(folder / "oci")
    tools = linuxkit.image_layout(folder / "tools", "media-tools", built.image("pkg/media-tools"))
    (folder / "demo.yml").write_text(linuxkit.SPEC)
    asked = ["--images", images, "--tools", tools, "--state", folder / "state", "--dir", folder]
    together = ",".join(each for each in BOOTED if each != "kernel+iso")
    for words in (["demo.yml", "--format", together], ["demo.yml", "--format", "kernel+iso", "--name", "iso"]):
        done = subprocess.run([TOWEROS, "assemble", *words, *asked], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


def console(words: list[str | Path], folder: Path) -> str:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="replace")


@pytest.mark.e2e
@pytest.mark.boot
@pytest.mark.parametrize(
    "format_",
    [pytest.param(each, marks=[pytest.mark.soak] if each in WRAPPED else []) for each in BOOTED if each not in ROOTS],
)
def test_it_boots(made: Path, format_: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.iterdir() if path.is_file()}
    said = console([TOWEROS, "run", format_, "demo", "--memory", str(MEMORY)], made)
    by_grub = format_ in ("vmdk", "vhd") or format_.endswith("-bios")
    assert SAID.format("BOOT_IMAGE=/kernel " if by_grub else "", "") in said
    assert before == {path: path.stat().st_mtime_ns for path in before}, "a machine wrote to what it was started from"


@pytest.mark.e2e
@pytest.mark.boot
@pytest.mark.parametrize("format_", ROOTS)
def test_its_root_boots(made: Path, format_: str) -> None:
    files = made / ("iso" if format_ == "kernel+iso" else "demo")
    said = console(command(format_, files, SMALL, ["-initrd", str(linuxkit.loader(made))]), made)
    expected = SAID.format("", " root=/dev/vda")
    # Linux counts an inode for every name on an ISO.
    assert (expected.replace("inodes: 1", "inodes: 2") if format_ == "kernel+iso" else expected) in said


@pytest.mark.e2e
@pytest.mark.boot
@pytest.mark.parametrize("format_", ["iso-bios", "iso-efi"])
def test_an_iso_boots_as_a_disk_too(made: Path, format_: str) -> None:
    """Written to a stick by `dd`."""
    stick = made / f"{format_}.stick"
    os.link(made / ("demo-efi.iso" if format_ == "iso-efi" else "demo.iso"), stick)
    said = console(command(format_.replace("iso", "raw"), stick, SMALL), made)
    assert f"{linuxkit.SAYS} [" in said
