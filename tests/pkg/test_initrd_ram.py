"""The place `ram`: is there memory for all of a release, and what comes instead of a disk."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.kit.initrd import SHELLS, initrd

MIB = 2**20
QUIET = """
say() { echo "$*"; }
mount() { echo "mount $*"; }
feed_while_it_grows() { :; }
mount_key() { :; }
fetch() { return 1; }
"""


def placed(folder: Path, shell: str, layers: list[int], available: int) -> list[str]:
    """What `place_ram` does for layers of so many MiB, with so many MiB of memory."""
    rows = [{"root": f"{number:064x}", "size": size * MIB} for number, size in enumerate(layers)]
    content = {"content": {"root": rows[:1], "containers": [{"layers": rows}]}}
    (folder / "release.json").write_text(json.dumps(content))
    (folder / "meminfo").write_text(f"MemTotal: 9999999 kB\nMemAvailable: {available * 1024} kB\n")
    work = f'{QUIET}read_release() {{ :; }}; fail() {{ echo "FAILED: $*"; exit 0; }}\nplace_ram'
    values = {"DISK": str(folder / "disk"), "MEMINFO": str(folder / "meminfo")}
    return initrd(shell, folder, work, **values).splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_memory_for_all_layers_and_their_trees_is_asked_for_before_anything_is_fetched(
    tmp_path: Path, shell: str
) -> None:
    said = placed(tmp_path, shell, [100, 50], 600)
    assert said[-2:] == [
        f"mount -o remount,size=268m {tmp_path}/disk",  # both with trees, the larger once more, and documents
        "252 MiB of layers come into memory, of 600 MiB",
    ]
    assert (tmp_path / "esp" / "EFI" / "Linux").is_dir(), "no ESP of this machine is taken for ours"


@pytest.mark.parametrize("shell", SHELLS)
def test_too_little_memory_is_said_with_both_figures(tmp_path: Path, shell: str) -> None:
    assert (
        placed(tmp_path, shell, [100, 50], 459)[-1]
        == "FAILED: this release needs 460 MiB of memory, and there are 459 MiB"
    )
    assert placed(tmp_path, shell, [100, 50], 460)[-1].startswith("252 MiB")


def put_onto(folder: Path, shell: str, files: bytes, digest: str, settles: str = "SETTLED=vda") -> list[str]:
    """What `install_by_network` does, and what `settle` gets for a medium."""
    (folder / "served").write_bytes(files)
    (folder / "release").write_text("{}")
    (folder / "esp/EFI/Linux").mkdir(parents=True, exist_ok=True)
    work = (
        f'{QUIET}fetch() {{ echo "fetch $1"; cp {folder}/served "$2"; }}; umount() {{ echo "umount $*"; }}\n'
        f'mount_disk() {{ echo mount_disk; }}; fail() {{ echo "FAILED: $*"; exit 0; }}\n'
        f"settle_disk() {{ (cd {folder}/medium && find . -type f | sort); {settles}; }}\n"
        f"FILES={digest} INSTALL=largest DOCUMENT={folder}/release\ninstall_by_network; echo place $PLACE"
    )
    values = {"DISK": str(folder / "disk"), "MEDIUM": str(folder / "medium")}
    return initrd(shell, folder, work, **values).splitlines()


def a_tar(folder: Path) -> bytes:
    (folder / "boot/EFI").mkdir(parents=True)
    (folder / "boot/EFI/loader").write_text("loader")
    return subprocess.run(["tar", "-C", folder, "-c", "boot"], check=True, capture_output=True).stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_disk_gets_the_files_that_the_signed_word_names_and_then_is_the_place(tmp_path: Path, shell: str) -> None:
    files = a_tar(tmp_path / "files")
    digest = hashlib.sha256(files).hexdigest()
    assert put_onto(tmp_path, shell, files, digest) == [
        f"fetch /boot/files/{digest}", "./boot/EFI/loader", "./releases/release", f"umount {tmp_path}/disk",
        "mount_disk", "place disk",
    ]  # fmt: skip
    assert not (tmp_path / "medium").exists() and not (tmp_path / "files.tar").exists()
    assert not (tmp_path / "esp/EFI").exists(), "whoever looks for the ESP finds that of the disk"


@pytest.mark.parametrize("shell", SHELLS)
def test_boot_files_of_somebody_else_touch_no_disk(tmp_path: Path, shell: str) -> None:
    """They come by plain HTTP."""
    files = a_tar(tmp_path / "files")
    for digest in ("0" * 64, "", "../x"):
        *_, last = put_onto(tmp_path, shell, files, digest)
        assert last.startswith("FAILED: ") and ("are missing or damaged" in last or "names no files" in last)
    assert not (tmp_path / "medium").exists()


LAYER = bytes(range(256)) * 64


def fetched(folder: Path, shell: str, served: dict[str, bytes], size: int) -> tuple[bytes, list[str]]:
    """What `fetch_layer` brings from a server with these files, and what it asked for."""
    for name, data in served.items():
        (folder / "served" / "layers").mkdir(parents=True, exist_ok=True)
        (folder / "served" / "layers" / name).write_bytes(data)
    work = f'fetch() {{ echo "$1"; cp "{folder}/served$1" "$2" 2>/dev/null; }}\nfetch_layer name "{folder}/file" {size}'
    asked = initrd(shell, folder, work).splitlines()
    return (folder / "file").read_bytes(), asked


def packed(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_layer_comes_packed(tmp_path: Path, shell: str) -> None:
    assert fetched(tmp_path, shell, {"name.zst": packed(LAYER)}, len(LAYER)) == (LAYER, ["/layers/name.zst"])
    assert not (tmp_path / "file.zst").exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("bad", [b"no zstd", packed(LAYER * 9), packed(LAYER[:-1]), packed(LAYER)[:-9]])
def test_what_does_not_unpack_to_the_layer_comes_as_it_is(tmp_path: Path, shell: str, bad: bytes) -> None:
    served = {"name.zst": bad, "name": LAYER}
    assert fetched(tmp_path, shell, served, len(LAYER)) == (LAYER, ["/layers/name.zst", "/layers/name"])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_small_file_that_unpacks_to_gigabytes_is_cut_off(tmp_path: Path, shell: str) -> None:
    """More is not written than the layer has, so that it is the tmpfs that is full, and not the memory."""
    pack = "head -c 200000000 /dev/zero | zstd -q -c -1"
    bomb = subprocess.run(["sh", "-c", pack], capture_output=True, check=True).stdout
    (tmp_path / "served" / "layers").mkdir(parents=True)
    (tmp_path / "served" / "layers" / "name.zst").write_bytes(bomb)
    look = 'rm() { for each; do [ ! -f "$each" ] || stat -c "%s ${each##*/}" "$each"; done; command rm "$@"; }\n'
    work = f'{look}fetch() {{ cp "{tmp_path}/served$1" "$2" 2>/dev/null; }}\nfetch_layer name "{tmp_path}/file" 4096; :'
    assert "4097 file" in initrd(shell, tmp_path, work)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("place", "does"), [("", "disk"), ("disk", "disk"), ("ram", "ram")])
def test_the_signed_word_says_where_the_layers_lie(tmp_path: Path, shell: str, place: str, does: str) -> None:
    work = "mount_disk() { echo disk; }; place_ram() { echo ram; }; find_place"
    assert initrd(shell, tmp_path, work, PLACE=place).split() == [does]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("place", "looks"), [("ram", ""), ("disk", "looked for ESP")])
def test_no_entry_of_a_foreign_esp_steps_back(tmp_path: Path, shell: str, place: str, looks: str) -> None:
    work = 'partition() { echo "looked for $1" >&2; return 1; }; ENTRY=toweros-7.efi; give_up_entry 2>&1; :'
    assert initrd(shell, tmp_path, work, PLACE=place).strip() == looks


@pytest.mark.parametrize("shell", SHELLS)
def test_a_slow_disk_that_the_network_installs_is_a_sign_of_life(tmp_path: Path, shell: str) -> None:
    """All layers of one that was installed before are read, which takes longer than the watchdog waits."""
    stat = tmp_path / "block" / "vda" / "stat"
    stat.parent.mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    seen = []
    for sectors in (1000, 1000, 2000):
        stat.write_text(f"7 0 {sectors} 5 9 0 300 5 0 {len(seen)} {len(seen)}\n")
        work = "df() { echo it is full; }; feed_while_reading() { sectors_read; }; feed_while_it_grows; wait"
        seen.append(initrd(shell, tmp_path, work, BLOCK=str(tmp_path / "block"), FEEDING="99999999"))
    assert seen[0] == seen[1] != seen[2]
