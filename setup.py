"""A complete wheel: what lies beside `gitops/` in a checkout and is needed travels in one tar inside of it.

In: a checkout, or what `git archive` makes of one. Out: `gitops/toweros.tar` in the wheel, as `gitops.source.shipped`
reads it. Rules: the same files make the same bytes: sorted, without times, owners and what Git does not track; files
are 644 or 755, links stay links. An editable install needs none: it is the checkout.

    tools/wheel dist        # the wheel of HEAD, the same bytes each time
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
FOLDERS = ("boot", "contrib", "docs", "fleet-repo-template", "pkg")
FILES = ("CHANGELOG.md", "LICENSE", "README.md", "debian-packages.txt")


class WithTheRest(build_py):
    """Puts the tar beside the modules."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            Path(self.build_lib, "gitops", "toweros.tar").write_bytes(packed())


def packed() -> bytes:
    """The tar's bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(there()):
            archive.addfile(*member(path))
    return buffer.getvalue()


def there() -> set[str]:
    """Every path that belongs into it; of a clone, what Git tracks."""
    missing = [name for name in (*FOLDERS, *FILES) if not (HERE / name).exists()]
    if missing:
        raise SystemExit(f"error: {', '.join(missing)}: build the wheel in a whole checkout")
    if (HERE / ".git").exists():
        command = ["git", "-C", str(HERE), "ls-files", "-z", "--", *FOLDERS, *FILES]
        names = os.fsdecode(subprocess.run(command, capture_output=True, check=True).stdout).split("\0")
        return {name for name in names if name and os.path.lexists(HERE / name)}
    below = (path for name in FOLDERS for path in (HERE / name).rglob("*"))
    found = (path for path in below if path.is_symlink() or path.is_file())
    return {*FILES, *(path.relative_to(HERE).as_posix() for path in found if "__pycache__" not in path.parts)}


def member(path: str) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    """One file's header and content."""
    place, info = HERE / path, tarfile.TarInfo(path)
    if place.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, str(place.readlink())
        return info, None
    data = place.read_bytes()
    info.size, info.mode = len(data), 0o755 if place.stat().st_mode & 0o100 else 0o644
    return info, io.BytesIO(data)


if __name__ == "__main__":
    setup(cmdclass={"build_py": WithTheRest})
