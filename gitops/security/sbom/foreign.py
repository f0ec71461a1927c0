"""What is inside of an image that somebody else made, by the package databases in its layers.

In: the layers, lowest first (tars, plain or gzip). Out: an `Inventory`. Rules:

- dpkg's status (and status.d, as distroless images have it), apk's installed and rpm's rpmdb.sqlite are read; so are
  Python packages in site-packages and dist-packages, but for those that are the distribution's own. Of rpm's older
  databases, and of what is in none, we can only say that we did not;
- a file of an upper layer hides the one below, and a whiteout hides what was there;
- an image of whose databases none lists a package is "unknown inside", and never empty: what was thrown out to make it
  small may have been the list, and not what it lists.

    of_image("osmocom/osmo-hlr@sha256:...", [layer, layer])
"""

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from debian.deb822 import Deb822

from gitops.model import Component, Ecosystem, Inventory
from gitops.oci.packed.unpacked import plain
from gitops.security.sbom import rpm
from gitops.security.sbom.files import OS_RELEASE, WHITEOUT, distribution, normal
from gitops.security.sbom.opening import DAMAGE
from gitops.security.sbom.parts import of_metadata, source_of

DPKG = re.compile(r"var/lib/dpkg/(status|status\.d/[^/]+(?<!\.md5sums))")
APK = re.compile(r"(usr/)?lib/apk/db/installed")
RPM = re.compile(r"(var|usr)/lib/(sysimage/)?rpm/rpmdb\.sqlite")
RPM_UNREAD = re.compile(r"(var|usr)/lib/(sysimage/)?rpm/(rpmdb\.sqlite-wal|Packages|Packages\.db)")
"""Changes that are not in rpmdb.sqlite yet, Berkeley DB, and ndb."""
PYTHON = re.compile(
    r"(?!usr/lib/python3/dist-packages/).*/(site|dist)-packages/"
    r"[^/]+\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)"
)
"""In /usr/lib/python3/dist-packages lies what dpkg lists, with Debian's own fixes; pip's go below /usr/local there. An
egg-info that is a file has in it what PKG-INFO has (setuptools, "Python Egg Formats")."""
DATABASES = (DPKG, APK, RPM, RPM_UNREAD, PYTHON, *map(re.compile, OS_RELEASE))
LARGEST = 64 << 20
"""Bytes of a database: a full Debian's is a tenth of it."""
OPAQUE = ".wh..wh..opq"
INSTALLED, NOT_INSTALLED = "installed", ("config-files", "not-installed")
"""dpkg(1), "Package states": in any other one, files of the package may be there."""


def of_image(name: str, layers: Sequence[Path]) -> Inventory:
    """What the databases of an image say."""
    found: dict[str, bytes] = {}
    unread: list[str] = []
    for layer in layers:
        try:
            _over(found, layer)
        except (*DAMAGE, ValueError) as error:
            unread.append(f"{name}: layer {layer.name[:12]} cannot be read: {type(error).__name__}")
    system = next((distribution(found[path]) for path in OS_RELEASE if path in found), "")
    listed, damaged = _components(found)
    components = sorted({replace(each, distribution=system) for each in listed})
    unread += [f"{name}: {text}" for text in damaged]
    unread += [f"{name}: the rpm database {path} is not read" for path in found if _is_unread(path, found[path])]
    unread += [f"{name}: /{path} is larger than {LARGEST >> 20} MiB" for path in found if len(found[path]) > LARGEST]
    if all(each.ecosystem is Ecosystem.pypi for each in listed):
        unread.append(f"{name}: unknown inside: no database of packages that we read")
    return Inventory(tuple(components), (), "", tuple(sorted(unread)))


def _over(found: dict[str, bytes], layer: Path) -> None:
    """Lay a layer over what is there."""
    hidden, fresh = [], {}
    with layer.open("rb") as raw, plain(raw) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = normal(member.name)
            folder, _, name = path.rpartition("/")
            if name == OPAQUE:
                hidden.append(f"{folder}/")
            elif name.startswith(WHITEOUT):
                gone = f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/")
                hidden += [gone, f"{gone}/"]
            elif member.isreg() and any(database.fullmatch(path) for database in DATABASES):
                content = archive.extractfile(member)
                fresh[path] = content.read(LARGEST + 1) if content else b""
    for path in list(found):
        if any(path == gone or (gone.endswith("/") and path.startswith(gone)) for gone in hidden):
            del found[path]
    found |= fresh


def _is_unread(path: str, data: bytes) -> bool:
    """An empty log of changes says that there are none."""
    return bool(RPM_UNREAD.fullmatch(path)) and not (path.endswith("-wal") and not data)


def _components(found: Mapping[str, bytes]) -> tuple[list[Component], list[str]]:
    """What the databases list, and what is wrong with them."""
    listed, damaged = list(_of_texts(found)), []
    for path, data in found.items():
        if RPM.fullmatch(path) and len(data) <= LARGEST:
            try:
                listed += rpm.packages(data)
            except ValueError as error:
                damaged.append(f"the rpm database {path} is not read: {error}")
    return listed, damaged


def _of_texts(found: Mapping[str, bytes]) -> Iterator[Component]:
    for path, data in found.items():
        if RPM.fullmatch(path) or RPM_UNREAD.fullmatch(path):
            continue
        text = data.decode(errors="replace")
        if DPKG.fullmatch(path):
            yield from _dpkg(text)
        elif APK.fullmatch(path):
            yield from _apk(text)
        elif PYTHON.fullmatch(path):
            yield from _python(text)


def _dpkg(text: str) -> Iterator[Component]:
    """Of what was removed, the entry stays; files in status.d say no state at all."""
    for entry in Deb822.iter_paragraphs(text, use_apt_pkg=False):
        name, version = entry.get("Package", ""), entry.get("Version", "")
        state = (entry.get("Status") or INSTALLED).split()
        if name and version and state[-1] not in NOT_INSTALLED:
            source = source_of(name, version, entry.get("Source", ""))
            yield Component(Ecosystem.debian, name, version, *source)


def _apk(text: str) -> Iterator[Component]:
    """apk-tools' installed database: P is the name, V the version, o the origin, L the licence."""
    for entry in text.split("\n\n"):
        rows = dict(line.split(":", 1) for line in entry.splitlines() if line[1:2] == ":")
        name, version = rows.get("P", ""), rows.get("V", "")
        if name and version:
            licence = (rows["L"].strip(),) if rows.get("L", "").strip() else ()
            yield Component(Ecosystem.alpine, name, version, rows.get("o") or name, version, licence)


def _python(text: str) -> Iterator[Component]:
    try:
        yield of_metadata(text)
    except KeyError:
        return
