"""LinuxKit's formats: every file by its name, twice alike, and what is inside of each."""

import gzip
import io
import os
import stat
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import sections
from gitops.assemble.formats.assembly import Assembly
from gitops.assemble.formats.chain import STEPS
from gitops.assemble.formats.memory import Memory
from gitops.assemble.formats.names import FORMATS
from gitops.assemble.formats.steps.kernels import words
from gitops.assemble.formats.work import Tools
from gitops.assemble.tars.erofs import Image
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError, FleetError
from gitops.fleet.linuxkit.files import WorkingFolder
from gitops.fleet.linuxkit.spec import load
from gitops.model import Spec
from gitops.oci.layout import OciLayout
from tests.kit import built, linuxkit
from tests.kit.images import layout, made
from tests.kit.oci import tar

NAMES = {
    "tar": {"demo.tar"},
    "docker": {"demo.docker"},
    "kernel+initrd": {"demo-kernel", "demo-initrd.img", "demo-cmdline"},
    "tar-kernel-initrd": {"demo-initrd.tar"},
    "kernel+squashfs": {"demo-kernel", "demo-squashfs.img", "demo-cmdline"},
    "kernel+erofs": {"demo-kernel", "demo-erofs.img", "demo-cmdline"},
    "kernel+iso": {"demo-kernel", "demo.iso", "demo-cmdline"},
    "iso-bios": {"demo.iso"},
    "iso-efi": {"demo-efi.iso"},
    "raw-bios": {"demo-bios.img"},
    "raw-efi": {"demo-efi.img"},
    "qcow2-bios": {"demo.qcow2"},
    "qcow2-efi": {"demo-efi.qcow2"},
    "vmdk": {"demo.vmdk"},
    "vhd": {"demo.vhd"},
    "dynamic-vhd": {"demo.vhd"},
    "iso-efi-initrd": {"demo-efi-initrd.iso"},
    "aws": {"demo.raw"},
    "gcp": {"demo.img.tar.gz"},
}
"""As `linuxkit build --name demo` names them (moby/build/output.go)."""
TOGETHER = [name for name in NAMES if name not in ("kernel+iso", "iso-bios", "dynamic-vhd", "aws")]
KERNEL = b"MZ kernel" * 1000


class Built:
    """Implements `Tools`: pkg/media-tools of this checkout."""

    @property
    def key(self) -> str:
        return built.image("pkg/media-tools").key

    def unpacked(self) -> Toolbox:
        return built.media_tools()


def no_tools() -> Tools:
    raise AssertionError("no step needs a tool here")


def spec(text: str = linuxkit.SPEC) -> Spec:
    problems: list[object] = []
    read = load(WorkingFolder({"demo.yml": text.encode()}), ["demo.yml"], problems)  # type: ignore[arg-type]
    assert problems == []
    return read


def assembly(folder: Path, read: Spec, images: Path, tools=no_tools) -> Assembly:
    return Assembly(read, OciLayout(images), Memory(folder / "assembled"), tools)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return linuxkit.system(tmp_path / "oci", kernel=KERNEL)


def cpio(data: bytes) -> Iterator[tuple[str, int, int, bytes, tuple[int, ...]]]:
    """(name, mode, links, data, (inode, device)) of an archive, up to its end (newc)."""
    at = 0
    while True:
        numbers = [int(data[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        assert data[at : at + 6] == b"070701"
        name = data[at + 110 : at + 109 + numbers[11]].decode()
        body = at + -(-(110 + numbers[11]) // 4) * 4
        if name == "TRAILER!!!":
            assert not data[body:].strip(b"\0")
            return
        yield name, numbers[1], numbers[4], data[body : body + numbers[6]], (numbers[0], *numbers[7:9])
        at = body + -(-numbers[6] // 4) * 4


def initrd(folder: Path, read: Spec, images: Path) -> list[tuple[str, int, int, bytes, tuple[int, ...]]]:
    with assembly(folder, read, images) as work:
        work.write(["kernel+initrd"], folder / "out" / "demo")
    return list(cpio(gzip.decompress((folder / "out" / "demo-initrd.img").read_bytes())))


def test_every_format_has_a_chain_that_ends() -> None:
    for format_, outputs in FORMATS.items():
        assert {f"demo{suffix}" for suffix, _ in outputs} == NAMES[format_]
    assert {name for outputs in FORMATS.values() for _, name in outputs} <= set(STEPS)


@pytest.mark.e2e
def test_every_format_twice_is_alike_byte_for_byte_and_has_linuxkits_names(tmp_path: Path, images: Path) -> None:
    """Nothing of the second comes from the first: another memory, another day, another folder."""
    found = []
    for turn in ("one", "two"):
        for place, formats in (("a", TOGETHER), ("b", ["iso-bios", "dynamic-vhd"]), ("c", ["kernel+iso"])):
            with assembly(tmp_path / turn, spec(), images, Built) as work:
                written = work.write(formats, tmp_path / turn / place / "demo")
            assert {path.name for path in written} == set().union(*(NAMES[each] for each in formats))
        found.append({place: files(tmp_path / turn / place) for place in "abc"})
    for place in "abc":
        different = [name for name in found[0][place] if found[0][place][name] != found[1][place][name]]
        assert different == []
        assert found[0][place].keys() == found[1][place].keys()


@pytest.mark.e2e
def test_the_disks_of_hypervisors_hold_the_same_sectors(tmp_path: Path, images: Path) -> None:
    out = tmp_path / "out"
    with assembly(tmp_path, spec(), images, Built) as work:
        work.write(["raw-bios", "raw-efi", "qcow2-bios", "qcow2-efi", "vmdk", "vhd"], out / "demo")
    pairs = {"demo.qcow2": "demo-bios.img", "demo-efi.qcow2": "demo-efi.img", "demo.vmdk": "demo-bios.img"}
    for wrapped, raw in pairs.items():
        said = subprocess.run(["qemu-img", "compare", out / wrapped, out / raw], capture_output=True, text=True)
        assert said.stdout == "Images are identical.\n"
    vhd = (out / "demo.vhd").read_bytes()
    assert vhd[:-512] == (out / "demo-bios.img").read_bytes() and vhd[-512:-504] == b"conectix"
    (checksum,) = struct.unpack_from(">I", vhd, len(vhd) - 512 + 64)
    footer = bytearray(vhd[-512:])
    footer[64:68] = bytes(4)
    assert checksum == ~sum(footer) & 0xFFFFFFFF


@pytest.mark.e2e
def test_disks_have_the_size_that_is_asked_for_and_clouds_get_whole_gibibytes(tmp_path: Path, images: Path) -> None:
    out, asked = tmp_path / "out", 96 << 20
    with Assembly(spec(), OciLayout(images), Memory(tmp_path / "assembled"), Built, size=asked) as work:
        work.write(["raw-bios", "raw-efi", "qcow2-bios", "aws", "gcp"], out / "demo")
        work.write(["dynamic-vhd"], out / "demo")
    assert (out / "demo-bios.img").stat().st_size == (out / "demo-efi.img").stat().st_size == asked
    start = (out / "demo-bios.img").read_bytes()
    with (out / "demo.raw").open("rb") as stream:
        assert stream.read(asked) == start and os.fstat(stream.fileno()).st_size == 1 << 30
    with tarfile.open(out / "demo.img.tar.gz", "r|gz") as archive:
        disk = archive.next()
        held = archive.extractfile(disk) if disk else None
        assert disk and (disk.name, disk.size) == ("disk.raw", 1 << 30) and held and held.read(asked) == start
    assert (
        b"disk.raw" in subprocess.run(["tar", "-tzf", out / "demo.img.tar.gz"], capture_output=True, check=True).stdout
    )
    for wrapped in ("demo.qcow2", "demo.vhd"):
        said = subprocess.run(
            ["qemu-img", "compare", out / wrapped, out / "demo-bios.img"], capture_output=True, text=True
        )
        assert said.stdout.startswith("Images are identical")
    with built.media_tools().workspace() as inside:
        inside.take(out / "demo-efi.img", "disk")
        assert b"No problems found" in inside.run(["sgdisk", "--verify", "disk"])
    with Assembly(spec(), OciLayout(images), Memory(tmp_path / "assembled"), Built, size=1 << 20) as work:
        with pytest.raises(AssembleError, match="a disk of 1 MiB is too small: it needs"):
            work.write(["raw-efi"], out / "small")


@pytest.mark.e2e
def test_of_two_entries_the_last_counts_in_every_image_of_the_root(tmp_path: Path, images: Path) -> None:
    """squashfs-tools keep the first of two entries of a tar, mkfs.erofs the last: both get one that has none twice."""
    text = (
        linuxkit.SPEC.replace("path: etc/note", "path: init") + "  - {path: etc/hosts, contents: ours, mode: '0644'}\n"
    )
    out = tmp_path / "out"
    with assembly(tmp_path, spec(text), images, Built) as work:
        work.write(["kernel+squashfs", "kernel+erofs"], out / "demo")
        work.write(["kernel+iso"], out / "iso")
    with Image(out / "demo-erofs.img") as erofs:
        nodes = erofs.nodes()
        assert b"".join(erofs.pieces(nodes["init"])) == b"of a file"
        assert b"".join(erofs.pieces(nodes["etc/hosts"])) == b"ours" and "boot" not in nodes
        service = "containers/services/web/rootfs/bin"
        assert nodes[f"{service}/one"].number == nodes[f"{service}/two"].number
    with built.media_tools().workspace() as inside:
        for name in ("demo-squashfs.img", "iso.iso"):
            inside.take(out / name, name)
        assert inside.run(["unsquashfs", "-quiet", "-cat", "demo-squashfs.img", "init"]) == b"of a file"
        inside.run(["xorriso", "-osirrox", "on", "-indev", "iso.iso", "-extract", "/init", "init"])
        assert inside.path("init").read_bytes() == b"of a file"
        listed = inside.run(["unsquashfs", "-quiet", "-lls", "-UTC", "demo-squashfs.img"]).decode()
    assert "squashfs-root/boot" not in listed and "squashfs-root/bin/sh -> busybox" in listed
    assert {line.split()[3] for line in listed.splitlines() if "squashfs-root" in line} == {"2023-11-14"}


@pytest.mark.e2e
def test_a_uki_holds_kernel_line_and_microcode_before_the_initrd(tmp_path: Path, images: Path) -> None:
    text = linuxkit.SPEC.replace("tar: none}", "tar: none, ucode: ucode}")
    with assembly(tmp_path, spec(text), images, Built) as work:
        work.write(["raw-efi", "kernel+initrd"], tmp_path / "out" / "demo")
    start = f"{tmp_path}/out/demo-efi.img@@{2048 * 512}"
    with built.media_tools().workspace() as inside:
        inside.take(tmp_path / "out" / "demo-efi.img", "disk")
        inside.run(["mcopy", "-i", f"disk@@{2048 * 512}", "::EFI/BOOT/BOOTX64.EFI", "uki"])
        held = sections(inside.path("uki").read_bytes())
    assert held[".linux"] == KERNEL and held[".cmdline"] == b"console=ttyS0 quiet panic=-1 no_timer_check note=a\0", (
        start
    )
    assert held[".initrd"] == (tmp_path / "out" / "demo-initrd.img").read_bytes()
    assert held[".initrd"][:8] == b"early\0\0\0" and gzip.decompress(held[".initrd"][8:])


def test_an_initrd_is_one_archive_with_the_last_of_two_entries_last_and_hard_links(
    tmp_path: Path, images: Path
) -> None:
    entries = initrd(tmp_path, spec(linuxkit.SPEC.replace("etc/note", "init")), images)
    assert [data for name, _, _, data, _ in entries if name == "init"] == [linuxkit.INIT.encode(), b"of a file"]
    one, two = (entry for entry in entries if entry[0].startswith("containers/services/web/rootfs/bin/"))
    assert (one[3], two[3]) == (b"#!/bin/sh\n", b"") and one[2] == two[2] == 2 and one[4] == two[4]
    assert not [name for name, *_ in entries if name.startswith("boot")]
    folders, seen = {""}, set()
    for name, mode, *_ in entries:
        assert name.rpartition("/")[0] in folders, "the kernel makes no folders for a file"
        folders |= {name} if mode & 0o170000 == 0o040000 else set()
        seen.add(name)
    assert {"bin/sh", "etc/mtab", "containers/services/web/config.json"} <= seen


def test_hard_links_of_two_pieces_are_not_one_file(tmp_path: Path) -> None:
    """Inodes are counted in every piece from 1: what tells them apart is the device."""
    images = {name: made([linuxkit.layer(name.encode())], config={"Cmd": ["x"]}) for name in ("a:1", "b:1")}
    read = spec("services: [{name: a, image: 'a:1'}, {name: b, image: 'b:1'}]\n")
    entries = initrd(tmp_path, read, layout(tmp_path / "oci", images))
    linked = {name: (inode, data) for name, _, links, data, inode in entries if links == 2 and name.endswith("one")}
    (a, b) = linked.values()
    assert a[1] == b"a:1" and b[1] == b"b:1" and a[0] != b[0]


def test_modules_have_their_folders(tmp_path: Path) -> None:
    """A kernel's tar may begin at usr/lib/modules; the kernel makes no folder that an archive does not name."""
    kernel = made([tar({"kernel": b"K", "kernel.tar": tar({"usr/lib/modules/1/a.ko": b"A"})})])
    read = spec("kernel: {image: 'k:1'}\n")
    entries = initrd(tmp_path, read, layout(tmp_path / "oci", {"k:1": kernel}))
    assert [name for name, *_ in entries] == [
        "usr",
        "usr/lib",
        "usr/lib/modules",
        "usr/lib/modules/1",
        "usr/lib/modules/1/a.ko",
    ]


def test_docker_gets_the_root_and_a_dockerfile(tmp_path: Path, images: Path) -> None:
    output, plain = io.BytesIO(), io.BytesIO()
    with assembly(tmp_path, spec(), images) as work:
        work.stream("docker", output)
        work.stream("tar", plain)
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as archive:
        names = archive.getnames()
        dockerfile = archive.extractfile("Dockerfile")
        assert dockerfile and dockerfile.read().startswith(b"FROM scratch\n")
    with tarfile.open(fileobj=io.BytesIO(plain.getvalue())) as archive:
        assert names == [*archive.getnames(), "Dockerfile"]


def test_a_tar_of_kernel_and_initrd_has_no_empty_members(tmp_path: Path, images: Path) -> None:
    for ucode, names in (
        ("", ["kernel", "initrd.img", "cmdline"]),
        (", ucode: ucode", ["kernel", "initrd.img", "cmdline", "ucode.cpio"]),
    ):
        text = linuxkit.SPEC.replace("tar: none}", f"tar: none{ucode}}}")
        with assembly(tmp_path, spec(text), images) as work:
            work.write(["tar-kernel-initrd"], tmp_path / "demo")
        with tarfile.open(tmp_path / "demo-initrd.tar") as archive:
            assert archive.getnames() == names


def changed(folder: Path, before: set[str]) -> set[str]:
    return {path.name for path in (folder / "assembled").iterdir()} - before


def test_one_changed_image_of_twenty_is_made_alone(tmp_path: Path) -> None:
    def text(tag: int) -> str:
        rows = "".join(f"  - {{name: s{n}, image: 's{n}:{tag if n == 7 else 1}'}}\n" for n in range(20))
        return f"init: ['init:1']\nservices:\n{rows}"

    images = {f"s{n}:1": made([linuxkit.layer(b"%d" % n)], config={"Cmd": ["x"]}) for n in range(20)}
    images["s7:2"] = made([linuxkit.layer(b"another")], config={"Cmd": ["x"]})
    images["init:1"] = made([tar({"init": b"init"})])
    place = layout(tmp_path / "oci", images)
    entries = initrd(tmp_path, spec(text(1)), place)
    known = changed(tmp_path, set())
    again = initrd(tmp_path, spec(text(1)), place)
    assert again == entries and changed(tmp_path, known) == set()
    other = initrd(tmp_path, spec(text(2)), place)
    # Of the image's root: a tar, and its part of the initrd. What is between two images says their names alone.
    assert len(changed(tmp_path, known)) == 2
    assert [mine[0] for mine, its in zip(entries, other, strict=True) if mine[:4] != its[:4]] == [
        "containers/services/s7/lower/bin/one"
    ]


def test_what_is_remembered_and_damaged_is_made_again(tmp_path: Path, images: Path) -> None:
    """A disk's fault, or a cut in the middle of writing: nothing was synced."""
    entries = initrd(tmp_path, spec(), images)
    for place in (tmp_path / "assembled").iterdir():
        (path,) = place.iterdir()
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert initrd(tmp_path, spec(), images) == entries


def test_what_nobody_used_for_a_month_goes(tmp_path: Path, images: Path) -> None:
    memory = Memory(tmp_path / "assembled")
    initrd(tmp_path, spec(), images)
    old = sorted((tmp_path / "assembled").iterdir())[:3]
    for place in old:
        for path in (*place.iterdir(), place):
            os.utime(path, (1, 1))
    kept = changed(tmp_path, {place.name for place in old})
    assert memory.forget() > 0 and changed(tmp_path, set()) == kept


@pytest.mark.e2e
def test_an_output_is_a_copy_of_what_is_remembered(tmp_path: Path, images: Path) -> None:
    """Whoever writes to a disk image writes to nobody else's."""
    with assembly(tmp_path, spec(), images, Built) as work:
        work.write(["kernel+erofs"], tmp_path / "demo")
    assert (tmp_path / "demo-erofs.img").stat().st_nlink == 1


def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path: Path, images: Path) -> None:
    with assembly(tmp_path, spec("init: ['init:1']\n"), images) as work:
        with pytest.raises(AssembleError, match="raw-efi boots a kernel, and the spec has none"):
            work.write(["tar", "raw-efi"], tmp_path / "demo")
        assert {path.name for path in work.write(["kernel+initrd"], tmp_path / "no" / "demo")} == {"demo-initrd.img"}
    with assembly(tmp_path, spec(), images) as work:
        with pytest.raises(AssembleError, match=r"two formats write .*demo.iso"):
            work.write(["iso-bios", "kernel+iso"], tmp_path / "demo")
    assert not (tmp_path / "demo.tar").exists()


@pytest.mark.e2e
def test_arguments_that_grub_cannot_hand_on_are_refused(tmp_path: Path, images: Path) -> None:
    assert words('a="b c" d  e') == ["a=b c", "d", "e"]
    with assembly(tmp_path, spec(linuxkit.SPEC.replace("note=a", "note=\\\\\\\\")), images, Built) as work:
        with pytest.raises(AssembleError, match=r"holds ' or \\, which GRUB cannot hand on"):
            work.write(["raw-bios"], tmp_path / "demo")


def test_init_images_that_share_a_folder_lose_no_file_to_the_kernel(tmp_path: Path) -> None:
    """LinuxKit's init, runc and containerd all have /etc/init.d. It was written where the last of them has it, behind
    files of the others; the kernel drops a file whose folder is not there yet, and `cpio -d` makes it."""
    modules = tar({"usr/lib/modules/1/modules.dep": b""})
    parts = {
        "kernel:1": {"kernel": KERNEL, "kernel.tar": modules},
        "init:1": {"init": b"#!", "etc/": b"", "etc/inittab": b"tab", "etc/init.d/": b"", "usr/": b"", "usr/bin/": b""},
        "runc:1": {"etc/": b"", "etc/init.d/": b"", "etc/init.d/010-onboot": b"#!", "usr/": b"", "usr/bin/runc": b"#!"},
        "containerd:1": {"usr/": b"", "etc/": b"", "etc/init.d/": b"", "etc/init.d/020-containerd": b"#!"},
    }
    images = layout(tmp_path / "oci", {name: made([tar(files)]) for name, files in parts.items()})
    read = spec("kernel: {image: 'kernel:1'}\ninit: ['init:1', 'runc:1', 'containerd:1']\n")
    there = {""}
    for name, mode, *_ in initrd(tmp_path, read, images):
        assert name.rpartition("/")[0] in there, f"{name} comes before its folder"
        assert name not in there, f"{name} is there twice"
        there |= {name} if stat.S_ISDIR(mode) else set()
        parts = {image: {path: data for path, data in files.items() if path != name} for image, files in parts.items()}
    left = {path for image in ("init:1", "runc:1", "containerd:1") for path in parts[image] if path[-1] != "/"}
    assert left == set()


@pytest.mark.parametrize(
    ("lib", "place"),
    [({"lib/": b""}, "lib/modules"), ({"usr/lib/": b"", "lib": "usr/lib"}, "usr/lib/modules"), ({}, "usr/lib/modules")],
)
def test_modules_are_where_the_modprobe_of_the_root_looks(tmp_path: Path, lib: dict, place: str) -> None:
    """Our kernel has them below /usr/lib; LinuxKit's roots are Alpine's, whose /lib is a folder: overlay was not found,
    and so no container of onboot or services could be written to."""
    kernel = tar({"kernel": KERNEL, "kernel.tar": tar({"usr/lib/modules/1/modules.dep": b""})})
    images = layout(tmp_path / "oci", {"kernel:1": made([kernel]), "init:1": made([tar({"init": b"#!"} | lib)])})
    names = {name for name, *_ in initrd(tmp_path, spec("kernel: {image: 'kernel:1'}\ninit: ['init:1']\n"), images)}
    assert f"{place}/1/modules.dep" in names


def test_a_source_is_read_from_the_working_folder_and_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback: nobody lists a working folder, but the reader asked for the file's size there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "motd").write_text("hello")
    read = spec("files: [{path: etc/motd, source: ~/motd}, {path: etc/too, source: " + str(tmp_path / "motd") + "}]\n")
    assert [file["contents"] for file in read.files] == ["hello", "hello"]
    with pytest.raises(AssertionError):
        spec("files: [{path: etc/motd, source: gone}]\n")


def test_a_spec_that_no_server_gives_is_named() -> None:
    with pytest.raises(FleetError, match=r"http://127\.0\.0\.1:9/a\.yml: it cannot be fetched"):
        WorkingFolder.holding(["http://127.0.0.1:9/a.yml"], io.BytesIO())
    with pytest.raises(FleetError, match="stdin: it has more than"):
        WorkingFolder.holding(["-"], io.BytesIO(b" " * (5 << 20)))


CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
"""cap_net_raw=ep, as the kernel writes it (include/uapi/linux/capability.h, revision 2)."""


def capable(folder: Path) -> Path:
    """A service whose program has a file capability, and a second name."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("bin/ping")
        info.mode, info.size = 0o755, 4
        info.pax_headers = {"SCHILY.xattr.security.capability": CAPABILITY.decode(errors="surrogateescape")}
        archive.addfile(info, io.BytesIO(b"ping"))
        link = tarfile.TarInfo("bin/ping6")
        link.type, link.linkname = tarfile.LNKTYPE, "bin/ping"
        archive.addfile(link)
    return linuxkit.system(folder / "capable", kernel=KERNEL, service=output.getvalue())


def test_file_capabilities_are_in_a_tar(tmp_path: Path) -> None:
    with assembly(tmp_path, spec(), capable(tmp_path)) as work:
        work.write(["tar"], tmp_path / "demo")
    with tarfile.open(tmp_path / "demo.tar", errors="surrogateescape") as archive:
        ping = archive.getmember("containers/services/web/rootfs/bin/ping")
    assert ping.pax_headers["SCHILY.xattr.security.capability"].encode(errors="surrogateescape") == CAPABILITY


@pytest.mark.e2e
def test_file_capabilities_are_in_every_image_of_the_root_that_has_a_place_for_them(tmp_path: Path) -> None:
    with assembly(tmp_path, spec(), capable(tmp_path), Built) as work:
        work.write(["kernel+squashfs", "kernel+erofs"], tmp_path / "demo")
    ping = "containers/services/web/rootfs/bin/ping"
    with Image(tmp_path / "demo-erofs.img") as erofs:
        nodes = erofs.nodes()
        assert (
            nodes[ping].xattrs == {"security.capability": CAPABILITY} and nodes[ping].number == nodes[f"{ping}6"].number
        )
    with built.media_tools().workspace() as inside:
        inside.take(tmp_path / "demo-squashfs.img", "root.img")
        inside.run(["unsquashfs", "-quiet", "-no-progress", "-d", "root", "root.img", ping])
        assert os.getxattr(inside.path("root") / ping, "security.capability") == CAPABILITY


def test_what_is_written_twice_is_two_files(tmp_path: Path, images: Path) -> None:
    with assembly(tmp_path, spec(), images) as work:
        for turn in ("a", "b"):
            work.write(["kernel+initrd", "tar-kernel-initrd"], tmp_path / turn / "demo")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    inodes = {path.stat().st_ino for turn in ("a", "b") for path in (tmp_path / turn).iterdir()}
    assert len(inodes) == 2 * len(files(tmp_path / "a"))
