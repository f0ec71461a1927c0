"""LinuxKit's words for a machine: what each asks for, what is refused and how it is told."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from gitops.errors import VmError
from gitops.lab.asked.data import LARGEST, disc
from gitops.lab.asked.which import Said, which
from gitops.lab.asked.words import Disk, disk, network
from gitops.lab.image import Asked, command


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("data.img", Disk(Path("data.img"))),
        ("file=data.img,format=raw", Disk(Path("data.img"), 0, "raw")),
        ("size=2G", Disk(Path("own/disk1.img"), 2048, "qcow2")),
        ("size=2", Disk(Path("own/disk1.img"), 2048, "qcow2")),
        ("data.qcow2,size=512M", Disk(Path("data.qcow2"), 512, "qcow2")),
        ("format=raw,size=512M,file=a", Disk(Path("a"), 512, "raw")),
    ],
)
def test_disks_as_linuxkit_says_them(said: str, asked: Disk) -> None:
    assert disk(said, Path("own"), 1) == asked


@pytest.mark.parametrize(
    "said", ["", "format=raw", "a,size=", "a,size=-1G", "a,size=2T", "a,colour=red", "a,format=zip"]
)
def test_a_disk_that_nobody_can_make_is_refused(said: str) -> None:
    with pytest.raises(VmError):
        disk(said, Path("own"), 0)


def test_a_disk_is_made_once_and_keeps_what_is_on_it(tmp_path: Path) -> None:
    asked = disk("size=3M,format=raw", tmp_path / "own", 0)
    asked.there()
    assert asked.path.stat().st_size == 3 << 20
    asked.path.write_bytes(b"mine")
    asked.there()
    assert asked.path.read_bytes() == b"mine"
    with pytest.raises(VmError, match="there is no disk"):
        disk(str(tmp_path / "gone.img"), tmp_path, 0).there()
    qcow2 = disk("size=1G", tmp_path, 0)
    qcow2.there()
    told = json.loads(subprocess.run(["qemu-img", "info", "--output=json", qcow2.path], capture_output=True).stdout)
    assert (told["format"], told["virtual-size"]) == ("qcow2", 1 << 30)


@pytest.mark.parametrize(
    ("said", "ports", "word"),
    [
        ("default", [], "user,id=net"),
        ("user", ["8080:80", "53:53/UDP"], "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:53-:53"),
        ("none", [], ""),
        ("tap,tap0", [], "tap,id=net,ifname=tap0,script=no,downscript=no"),
        ("bridge,br0", [], "bridge,id=net,br=br0"),
    ],
)
def test_networks_as_linuxkit_says_them(said: str, ports: list[str], word: str) -> None:
    assert network(said, ports) == word


@pytest.mark.parametrize(
    ("said", "ports"),
    [
        ("tap", []),
        ("bridge,", []),
        ("tap,a,script=/bin/evil", []),
        ("vmnet", []),
        ("none", ["1:1"]),
        ("user", ["80"]),
        ("user", ["0:80"]),
        ("user", ["80:70000"]),
        ("user", ["80:80/sctp"]),
        ("user", ["80:80,guestfwd=tcp::1-cmd:sh"]),
    ],
)
def test_a_network_that_is_none_or_says_more_is_refused(said: str, ports: list[str]) -> None:
    """A comma in a word is QEMU's end of a value: what follows would be an option of its own."""
    with pytest.raises(VmError):
        network(said, ports)


def test_a_path_tells_its_format(tmp_path: Path) -> None:
    for name in ("a-kernel", "a-initrd.img", "b-kernel", "b-squashfs.img", "c.iso", "d.qcow2", "e.img", "f.vmdk"):
        (tmp_path / name).touch()
    found = {name: which(tmp_path / name, Said()) for name in ("a", "b", "c.iso", "d.qcow2", "e.img", "f.vmdk")}
    formats = ("kernel+initrd", "kernel+squashfs", "iso-bios", "qcow2-bios", "raw-bios", "vmdk")
    assert tuple(found.values()) == formats
    assert (
        which(tmp_path / "c.iso", Said(uefi=True)) == "iso-efi"
        and which(tmp_path / "e.img", Said(iso=True)) == "iso-bios"
    )
    assert which(tmp_path / "d.qcow2", Said(uefi=True)) == "qcow2-efi"
    with pytest.raises(VmError, match=r"there is neither .*gone nor .*gone-kernel"):
        which(tmp_path / "gone", Said())


def test_a_disc_with_data_is_one_that_linux_reads(tmp_path: Path) -> None:
    """ECMA-119: a descriptor at sector 16, the folder that it names, in it one file of this size."""
    image = disc(b"hello")
    assert image[0x8000:0x8007] == b"\1CD001\1" and len(image) == struct.unpack_from("<I", image, 0x8050)[0] * 2048
    folder = struct.unpack_from("<I", image, 0x8000 + 156 + 2)[0] * 2048
    entry = folder + image[folder] + image[folder + image[folder]]
    sector, size = struct.unpack_from("<I", image, entry + 2)[0], struct.unpack_from("<I", image, entry + 10)[0]
    assert image[entry + 33 :][: image[entry + 32]] == b"CONFIG.;1"
    assert image[sector * 2048 :][:size] == b"hello" and image == disc(b"hello")
    with pytest.raises(VmError, match="more than 16 MiB"):
        disc(bytes(LARGEST + 1))


def test_a_machine_has_what_was_asked_for(tmp_path: Path) -> None:
    image = tmp_path / "a,b.img"
    image.touch()
    asked = Asked(512, "tcg", 2, [Disk(tmp_path / "x,y", 1, "raw")], "", tmp_path / "data.iso", None, True, True, "n")
    line = " ".join(command("raw-bios", image, asked))
    assert "-smp 2 -m 512 -net none" in line and "OVMF" in line and "-vga std" in line and "-name n" in line
    assert (
        f"file={tmp_path}/a,,b.img" in line
        and f"id=disk1,format=raw,file={tmp_path}/x,,y" in line
        and "id=data" in line
    )
