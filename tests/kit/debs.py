"""Debian packages and wheels for tests, made by the tool that makes real ones."""

import io
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from debian.copyright import Header

from gitops.model import LockedFile, sha256
from gitops.store import Store

DEP5 = f"Format: {Header().format}\n\n"


def copyright_of(*licences: str) -> str:
    """A debian/copyright that a program can read, with these licences."""
    return DEP5 + "\n".join(f"Files: {n}/*\nCopyright: x\nLicense: {name}\n" for n, name in enumerate(licences))


def deb(
    folder: Path, name: str, files: Mapping[str, bytes | str], version: str = "1-1", control: str = ""
) -> tuple[LockedFile, bytes]:
    """A package with these files (`str`: a symlink), and its line in a lock."""
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.org>\n{control}"
        "Description: x\n"
    )
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (root / path).symlink_to(content)
        else:
            (root / path).write_bytes(content)
    out = folder / f"{name}_{version}_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z0", "--build", str(root), str(out)]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "0"})
    data = out.read_bytes()
    return LockedFile("deb", name, version, sha256(data), len(data), f"pool/{out.name}"), data


def wheel(name: str, files: Mapping[str, bytes], metadata: str = "") -> tuple[LockedFile, bytes]:
    """A wheel of version 1 with these files, and its line in a lock."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(
            f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: 1\n{metadata}\n"
        )
    data = output.getvalue()
    return LockedFile("wheel", name, "1", sha256(data), len(data), f"{name}-1-py3-none-any.whl"), data


def locked(store: Store, *made: tuple[LockedFile, bytes]) -> tuple[LockedFile, ...]:
    """A lock whose files are in the store."""
    for _, data in made:
        store.blobs.put(data)
    return tuple(file for file, _ in made)
