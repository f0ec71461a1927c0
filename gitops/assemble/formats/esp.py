"""The ESP, on a disk as on a medium: systemd-boot, a release's entry with its addon, the box's key, certificates.

In: Contents. Out: a FAT file system, the same for the same input: its serial number and all times are given. Rules:
mtools writes it, so nothing is mounted; `run` is whoever starts programs, here or inside a toolbox.

    stage(folder / "esp", contents)
    write(run, "esp.img", folder / "esp", "0badcafe")
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gitops.assemble.boot.bios import bios_files
from gitops.assemble.formats.staging import EPOCH, Contents, put, settle

LOADER_CONF = "timeout menu-disabled\neditor no\nauto-firmware no\nauto-entries no\nsecure-boot-enroll off\n"
"""systemd-boot's: no key and no noise on a serial line brings a menu or stops it, and there is nothing to choose."""
BOX_KEY = "EFI/toweros/box.key"


def files(contents: Contents) -> dict[str, bytes]:
    """Path -> what is in it."""
    entry = f"toweros-{contents.release.sequence}.efi"
    return {
        f"EFI/Linux/{entry}": contents.uki,
        f"EFI/Linux/{entry}.extra.d/release.addon.efi": contents.addon,
        **({BOX_KEY: contents.box_key} if contents.box_key else {}),
        **(_for_bios(contents) if contents.bios else _for_uefi(contents)),
    }


def _for_uefi(contents: Contents) -> dict[str, bytes]:
    keys = {f"loader/keys/toweros/{name}": data for name, data in contents.keys.items()}
    return {"EFI/BOOT/BOOTX64.EFI": contents.loader, "loader/loader.conf": LOADER_CONF.encode(), **keys}


def _for_bios(contents: Contents) -> Mapping[str, bytes]:
    return bios_files(contents.release.sequence, contents.uki, contents.addon)


def stage(folder: Path, contents: Contents) -> None:
    """Lay the files out below a folder."""
    for path, data in files(contents).items():
        put(folder / path, data)
    settle(folder)


def write(run: Callable[..., object], image: str, folder: Path, serial: str, geometry: Sequence[str]) -> None:
    """Make a FAT 32 of `image` (mtools' FILE or FILE@@OFFSET), with what is in `folder`. `geometry`: mformat's options.

    Raises:
        ProcessError: a tool fails.
    """
    env = {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": str(EPOCH)}
    run(["mformat", "-i", image, "-F", "-v", "ESP", "-N", serial, *geometry, "::"], env=env)
    # One by one, in their order: mcopy -s would take the order in which a folder happens to list them.
    for path in sorted(folder.rglob("*")):
        place = f"::/{path.relative_to(folder)}"
        run(["mmd", "-i", image, place] if path.is_dir() else ["mcopy", "-i", image, "-m", "-Q", path, place], env=env)
