"""A bundle as an ISO: for a disc, for `dd` onto a stick, for a virtual machine's drive, for an upload.

In: the folder of a bundle, the media tools. Out: one file; of the same folder, the same bytes. Rules: it appears whole,
by its name; its label is `TOWEROS-BUNDLE`.
"""

import os
import shutil
import time
from pathlib import Path

from gitops.assemble.toolbox import Toolbox
from gitops.errors import StoreError
from gitops.noc.bundles import Bundle
from gitops.noc.media import NAME

LABEL = "TOWEROS-BUNDLE"
MOMENT = 946684800
"""1 January 2000: of every file in it."""


def write(tools: Toolbox, folder: Path, iso: Path) -> None:
    """Raises StoreError: there is no room. ProcessError: xorriso fails."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if shutil.disk_usage(iso.parent).free < size + (16 << 20):
        raise StoreError(f"{iso.parent} has no room for {size:,} bytes", hint="make room, or name another place")
    with tools.workspace() as work:
        for path in files:
            name = Path("tree", path.relative_to(folder))
            work.path(str(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, work.path(str(name)))
        words = Bundle.open(folder)
        same = Bundle(words.boxes, 0, words.expires)  # when it was made is said by nothing that is signed
        work.path(f"tree/{NAME}").write_bytes(same.encode())
        for path in (work.path("tree"), *work.path("tree").rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (MOMENT, MOMENT))
        moment = time.strftime("%Y%m%d%H%M%S00", time.gmtime(MOMENT))
        command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3", "-uid", "0", "-gid", "0"]
        command += ["-volid", LABEL, f"--modification-date={moment}", "-partition_offset", "16"]
        work.tool([*command, "-o", "bundle.iso", "tree"], env={"SOURCE_DATE_EPOCH": str(MOMENT)})
        new = iso.with_name(f".{iso.name}.new")
        try:
            shutil.copyfile(work.path("bundle.iso"), new)
            with new.open("rb") as stream:
                os.fsync(stream.fileno())
            new.replace(iso)
        finally:
            new.unlink(missing_ok=True)
