"""Room for a bundle in a folder, and in it for what boxes write (ADR 82).

In: a folder, boxes. Out: the folder is a bundle's; a file of blanks for the report of each. Rules: what no bundle put
there is somebody's own, and no link is followed: sticks come back.

    check_own(Path("/media/stick"))
    keep_places(Path("/media/stick"), ["site-7"], before={"site-6"})
"""

import re
from collections.abc import Collection
from pathlib import Path

from gitops.errors import StoreError

MAX_REPORT, LEAST_REPORT, REPORTS = 256 << 10, 16 << 10, 64 << 20
"""Bytes that a box has for its report: the most that one may have, the least, and about so many of all boxes."""
NOTHING = b" "
"""What a place for a report is full of: a box writes over it, so that no file system changes (ADR 82)."""
PLAIN = re.compile(r"[a-z0-9-]+")
"""What a box's name may be; what nobody signed may say anything."""
METADATA = ("repo/metadata", "repo/metadata/boxes", "repo/metadata/sites")
PARTS = ("blobs", "blobs/sha256", "layers", "repo", *METADATA, "repo/attestations", "reports", "incoming", "tuf")
"""The folders that it is made of."""
EMPTIED = ("blobs", "layers", "repo", "incoming", "tuf")
"""Those in which nothing stays that no box of it needs."""
OURS = re.compile(
    r"(blobs/sha256|layers|incoming|repo/attestations)/([0-9a-f]{64}(\.[a-z.]+)?|\.new-.*)"
    r"|repo/metadata/((boxes|sites)/[a-z0-9][a-z0-9.-]*/)?((\d+\.)?[a-z0-9-]+\.json|\.new-.*)"
)
"""What a bundle has in them, also one that was cut as it was made: all of it is named by its content, or by TUF."""


def check_parts(folder: Path) -> None:
    """Raises StoreError: a link leads to where we would write."""
    if linked := next((path for name in PARTS if (path := folder / name).is_symlink()), None):
        raise StoreError(f"{linked} is a link", hint="a bundle has none: remove it, or name another folder")


def check_own(folder: Path) -> None:
    """Raises StoreError: in a folder that is emptied lies something that no bundle put there."""
    for path in (path for name in EMPTIED for path in (folder / name, *(folder / name).rglob("*"))):
        place = path.relative_to(folder).as_posix()
        if path.is_symlink() or (path.is_file() and not OURS.fullmatch(place)):
            hint = f"no bundle made {place}, and it would be removed: name an empty folder, or one in it"
            raise StoreError(f"{folder} is neither empty nor a bundle", hint=hint)


def keep_places(folder: Path, boxes: Collection[str], before: Collection[str]) -> None:
    """What a box wrote into one stays until another bundle is made there for other boxes. `before`: whose it was."""
    size = max(LEAST_REPORT, min(MAX_REPORT, REPORTS // len(boxes))) // 4096 * 4096
    places = {folder / "reports" / f"{box}.json" for box in boxes}
    (folder / "reports").mkdir(exist_ok=True)
    for path in {folder / "reports" / f"{box}.json" for box in before if PLAIN.fullmatch(box)} - places:
        path.unlink(missing_ok=True)
    for path in places:
        if path.is_symlink():
            path.unlink()
        if not path.is_file() or path.stat().st_size != size:
            path.write_bytes(NOTHING * size)
