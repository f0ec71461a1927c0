"""Where the initrd looks for the layers of a boot: its own shell, with folders for media."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.kit.initrd import SHELLS, initrd

RELEASE, LAYERS = "ab" * 32, ("1" * 64, "2" * 64)
FAKES = """
sleep() { :; }
say() { echo "$*"; }
mount() {
    [ "$2" = iso9660 ] || { echo "mounted $2" >&2; return; }
    [ -d "$HANDOVER$5" ] || return 1
    echo "looked at $5" >&2
    rm -rf "$6" && ln -s "$HANDOVER$5" "$6"
}
blkid() { return 2; }
umount() { rm -f "$1" && mkdir "$1"; }
ln() { case $1 in -s) shift ;; esac; command ln -sfn "$@"; }
"""


def machine(folder: Path, *devices: str) -> None:
    """Block devices by the kernel's names; one with a digit is a partition of the one before."""
    for name in devices:
        kind = "partition" if name[-1].isdigit() and not name.startswith("sr") else "device"
        (folder / "block" / name).mkdir(parents=True)
        (folder / "block" / name / kind).touch()


def medium(folder: Path, device: str, release: str = RELEASE, key: bytes = b"") -> None:
    """A medium in a drive."""
    root = folder / "dev" / device / "toweros"
    for name in ("layers", "releases", "identity"):
        (root / name).mkdir(parents=True)
    for layer in LAYERS:
        (root / "layers" / layer).write_text(layer)
    (root / "releases" / f"{release}.json").write_text("{}")
    if key:
        (root / "identity" / "box.key").write_bytes(key)


def said(folder: Path, shell: str, place: str = "medium", release: str = RELEASE, wait: str = "1") -> str:
    values = {"BLOCK": str(folder / "block"), "DISK": str(folder / "disk"), "RELEASE": release, "PLACE": place}
    paths = {"ISO": str(folder / "iso"), "MEDIUM": str(folder / "medium"), "MEDIUM_WAIT": wait}
    work = FAKES + 'mount_disk() { echo a disk; }\nfail() { echo "FAILED: $*"; exit 0; }\nfind_place 2>>$HANDOVER/talk'
    return initrd(shell, folder, work, **values, **paths)


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_word_a_box_looks_for_its_disk_as_ever(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, shell, place="") == said(tmp_path, shell, place="disk") == "a disk\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_place_that_nobody_knows_starts_nothing(tmp_path: Path, shell: str) -> None:
    assert said(tmp_path, shell, place="moon") == "FAILED: this initrd knows no place moon\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_medium_is_the_one_that_has_this_release_and_not_another_one(tmp_path: Path, shell: str) -> None:
    machine(tmp_path, "sda", "sr0", "sr1")
    medium(tmp_path, "sr0", release="cd" * 32)
    medium(tmp_path, "sr1")
    assert "the release is on the medium /dev/sr1\n" in said(tmp_path, shell)
    assert (tmp_path / "disk/layers" / LAYERS[0]).read_text() == LAYERS[0]
    assert (tmp_path / "disk/layers" / LAYERS[0]).is_symlink(), "no copy"
    assert (tmp_path / "disk/releases" / f"{RELEASE}.json").is_file()
    assert (tmp_path / "esp/EFI/Linux").is_dir(), "by which init knows to leave the machine's own ESP alone"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_medium_with_the_same_name_and_another_document_is_not_taken(tmp_path: Path, shell: str) -> None:
    """Whoever plugs one in keeps no box from starting: what is only named right is behind what is right."""
    document = hashlib.sha256(b"{}").hexdigest()
    machine(tmp_path, "sda", "sdb")
    for name in ("sda", "sdb"):
        medium(tmp_path, name, document)
    forged = tmp_path / "dev" / "sda" / "toweros" / "releases" / f"{document}.json"
    forged.write_text("forged")
    assert "the release is on the medium /dev/sdb" in said(tmp_path, shell, release=document, wait="9")
    (tmp_path / "medium").unlink()
    forged.with_name("x").write_text("{}")
    shutil.rmtree(tmp_path / "dev" / "sdb")
    again = said(tmp_path, shell, release=document, wait="9")
    assert "the release is on the medium /dev/sda" in again, "its layers may still be good"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_partition_comes_before_the_whole_disk_so_that_the_second_one_is_free(tmp_path: Path, shell: str) -> None:
    machine(tmp_path, "sda", "sda1", "sda2")
    medium(tmp_path, "sda")
    medium(tmp_path, "sda1")
    assert "the release is on the medium /dev/sda1\n" in said(tmp_path, shell)
    assert "looked at /dev/sda\n" not in (tmp_path / "talk").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_without_its_medium_it_says_what_it_looked_for(tmp_path: Path, shell: str) -> None:
    machine(tmp_path, "sda", "sr0")
    medium(tmp_path, "sr0", release="cd" * 32)
    assert said(tmp_path, shell).endswith(f"FAILED: no medium has the release {RELEASE}\n")
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_key_that_is_on_the_medium_is_the_boxs_and_nobody_elses(tmp_path: Path, shell: str) -> None:
    machine(tmp_path, "sr0")
    medium(tmp_path, "sr0", key=b"KEY")
    said(tmp_path, shell)
    key = tmp_path / "disk/identity/box.key"
    assert key.read_bytes() == b"KEY" and key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("place", "stays"), [("medium", True), ("", False)])
def test_from_a_medium_no_entry_of_the_machines_own_disk_steps_back(
    tmp_path: Path, shell: str, place: str, stays: bool
) -> None:
    """The same release may be installed here, under the same name."""
    linux = tmp_path / "esp/EFI/Linux"
    linux.mkdir(parents=True)
    for name in ("toweros-6.efi", "toweros-7.efi"):
        (linux / name).touch()
    work = "partition() { echo /dev/sda1; }; mount() { :; }; umount() { :; }; say() { :; }; give_up_entry"
    initrd(shell, tmp_path, work, PLACE=place, ENTRY="toweros-7.efi")
    assert (linux / "toweros-7.efi").exists() == stays


@pytest.mark.parametrize("shell", SHELLS)
def test_the_place_is_handed_over_to_the_agent(tmp_path: Path, shell: str) -> None:
    values = {"BOX": "demo-1", "RELEASE": RELEASE, "SERVER": "http://s", "SEQUENCE": "7", "REPAIRED": "", "ENTRY": ""}
    initrd(shell, tmp_path, "hand_over", **values, PLACE="medium")
    assert '"place": "medium"' in (tmp_path / "boot.json").read_text()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("firmware", "becomes"), [("bios", "taken"), ("uefi", "refused")])
def test_grubs_own_word_counts_where_a_bios_started_it_and_nowhere_else(
    tmp_path: Path, shell: str, firmware: str, becomes: str
) -> None:
    (tmp_path / "uefi").mkdir()
    (tmp_path / "line").write_text("BOOT_IMAGE=/boot/vmlinuz quiet toweros.box=b toweros.place=medium\n")
    (tmp_path / "signed").write_text("quiet\n")
    work = "refuse() { echo refused; exit 0; }; compare_command_line; echo taken"
    paths = {"CMDLINE": str(tmp_path / "line"), "SIGNED_LINE": str(tmp_path / "signed")}
    assert initrd(shell, tmp_path, work, **paths, EFI=str(tmp_path / firmware)).strip() == becomes


INSTALL = """
mount_medium() { :; }
keep_in_memory() { echo in memory; }
mount_disk() { echo "a disk, place $PLACE"; }
fail() { echo "FAILED: $*"; exit 0; }
"""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("rule", "settle", "becomes"),
    [
        ("", "echo settled", "in memory\n"),
        ("largest", "SETTLED=sda", "a disk, place disk\n"),
        ("largest", "return 1", "FAILED: no disk was settled\n"),
    ],
)
def test_a_disk_is_settled_where_that_was_signed_and_the_box_goes_on_from_there(
    tmp_path: Path, shell: str, rule: str, settle: str, becomes: str
) -> None:
    work = f"{INSTALL}settle_disk() {{ {settle}; }}\nfind_place"
    assert initrd(shell, tmp_path, work, PLACE="medium", INSTALL=rule) == becomes


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("on_it", "fetched"), [("good", False), ("evil", True), (None, True)])
def test_a_layer_that_a_disk_lacks_comes_from_the_medium_if_that_has_it_whole_else_from_the_server(
    tmp_path: Path, shell: str, on_it: str | None, fetched: bool
) -> None:
    (tmp_path / "medium/layers").mkdir(parents=True)
    if on_it is not None:
        (tmp_path / "medium/layers" / LAYERS[0]).write_text(f"{on_it} and its tree")
    work = f"""
say() {{ :; }}
fetch() {{ case $1 in *.zst) return 1 ;; esac; echo fetched; printf good >$2; }}
with_tree() {{ [ -f "$1" ] && [ "$(cat "$1")" = good ]; }}
repair {tmp_path}/layer {LAYERS[0]} 4
cat {tmp_path}/layer"""
    said = initrd(shell, tmp_path, work, MEDIUM=str(tmp_path / "medium"))
    assert said == ("fetched\ngood" if fetched else "good")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_pack_that_gives_other_bytes_of_the_same_size_costs_a_fetch_and_not_the_box(
    tmp_path: Path, shell: str
) -> None:
    work = f"""
say() {{ :; }}
zstd() {{ cat "$4"; }}
fetch() {{ echo "$1"; case $1 in *.zst) printf evil >$2 ;; *) printf good >$2 ;; esac; }}
with_tree() {{ [ -f "$1" ] && [ "$(cat "$1")" = good ]; }}
repair {tmp_path}/layer {LAYERS[0]} 4
cat {tmp_path}/layer"""
    said = initrd(shell, tmp_path, work, MEDIUM=str(tmp_path / "medium"))
    assert said.split() == [f"/layers/{LAYERS[0]}.zst", f"/layers/{LAYERS[0]}", "good"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("there", ["sdc1", "sdc1 that is no FAT", ""])
def test_a_machine_without_a_disk_gets_its_key_stick_and_starts_without_one(
    tmp_path: Path, shell: str, there: str
) -> None:
    """By the label alone; one that cannot be mounted is as none: the agent asks whether the folder is there."""
    work = f"""
sleep() {{ :; }}
say() {{ echo "$*"; }}
blkid() {{ [ -n "{there}" ] && echo "/dev/{there}" && echo /dev/sdz9; }}
mount() {{ case $5 in *FAT) return 1 ;; esac; [ -d "$6" ] && echo "mounted $5 $4"; }}
mount_key"""
    said = initrd(shell, tmp_path, work)
    options = "nosuid,nodev,noexec,umask=0077"
    assert said == (f"mounted /dev/sdc1 {options}\nthe key stick is /dev/sdc1\n" if there == "sdc1" else "")
    assert (tmp_path / "key").is_dir() == (there == "sdc1")


@pytest.mark.parametrize("shell", SHELLS)
def test_no_stick_is_looked_for_where_a_disk_keeps_the_key(tmp_path: Path, shell: str) -> None:
    work = "mount_disk() { :; }; mount_key() { echo looked; }; find_place"
    assert initrd(shell, tmp_path, work, PLACE="disk") == ""
