"""What cannot be made again, as of one moment and while the controller works, in one file.

In: a store. Out: a file that `restore` takes. Rules:

- In it: the database; the metadata that boxes are offered, with every root; the attestations; the documents and signed
  boot files that are offered or wait, and the Git objects that prove what is deployed. A signature holds its time, so
  none of these comes out the same when it is made again.
- With them the layers that boxes are offered and the newest commit no longer has: nobody makes those again.
- Not in it: keys, settings and tokens, which belong somewhere else; the clone, layers, images, locked files and
  inventories, which are made again (`everything` takes the files along).
- The database is read while `timestamp.json` stays as it is: a moment at which a pass may die as well.
- What is damaged or missing is left out and said: the rest is worth more than nothing.

    made = Backup(store, settings.keys).write(Path("/mnt/backups"), now=int(time.time()))
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gitops import __version__
from gitops.errors import StoreError
from gitops.model import BlobRef, sha256
from gitops.publish.folder import Folder
from gitops.sign.small.reading import files_of
from gitops.store import Store
from gitops.store.files import photograph
from gitops.store.files.blobs import digest_file
from gitops.store.files.layout import Scratch
from gitops.store.notes.documents import LastDeployed
from gitops.workflows.safekeeping.archive import Head, Source, write
from gitops.workflows.safekeeping.seal import sign

log = structlog.get_logger(__name__)

TRIES = 5
"""How often the database is read anew because something was published meanwhile."""
PAUSE = 1.0
"""Seconds between two."""


@dataclass(frozen=True)
class Made:
    """Where a backup is, its bytes, and what it is of."""

    file: Path
    size: int
    head: Head


class Backup:
    """Of one store, signed with the key in `keys`; None: by nobody. `everything`: with all files, so that nothing has
    to be built or fetched again."""

    def __init__(self, store: Store, keys: Path | None, *, everything: bool = False) -> None:
        self._store, self._keys, self._everything = store, keys, everything
        self._files: dict[str, BlobRef] = {}
        self._sources: dict[str, Source] = {}
        self._left_out: list[str] = []

    def write(self, target: Path, now: int) -> Made:
        """Write it to `target`; into it, under the name of the moment, when that is a folder.

        Raises:
            StoreError: there is nothing to back up, the database is damaged, or `target` cannot be written.
            SignError: there is no key in `keys`.
        """
        signature = sign(self._keys) if self._keys else None
        if not self._store.paths.identity.is_file():
            hint = "there is something after the first `toweros apply`; is `state` the right folder?"
            raise StoreError(f"{self._store.paths.root} has nothing to back up yet", hint=hint)
        moment = f"toweros-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.backup"
        file = target / moment if target.is_dir() else target
        with self._store.paths.scratch(Scratch.backup) as folder:
            self._take_all(Path(folder) / "toweros.db")
            identity = self._store.paths.identity.read_bytes()
            deployed = self._store.notes.get(LastDeployed)
            revision = str(deployed.revision) if deployed else ""
            left_out = tuple(self._left_out)
            head = Head(now, __version__, identity.decode().strip(), revision, self._files, left_out)
            write(file, head, self._sources, signature)
        return Made(file, file.stat().st_size, head)

    def _take_all(self, database: Path) -> None:
        self._take_moment(database)
        self._add("id", self._store.paths.identity.read_bytes())
        for path in sorted(self._store.paths.attestations.glob("[0-9a-f]*.json")):
            self._add(f"repo/attestations/{path.name}", path.read_bytes())
        blobs, layers = self._store.blobs, self._store.layers
        for digest in sorted(blobs.names() if self._everything else self._needed()):
            self._add_blob(digest, blobs.path(digest))
        for root in sorted(layers.names() & (layers.names() if self._everything else self._left_behind())):
            ref = digest_file(layers.path(root))
            self._files[f"layers/{root}"], self._sources[f"layers/{root}"] = ref, layers.path(root)

    def _take_moment(self, database: Path) -> None:
        """The database and the metadata that boxes are offered, of one moment."""
        timestamp = self._store.paths.metadata / "timestamp.json"
        for _ in range(TRIES):
            database.unlink(missing_ok=True)
            before = _content(timestamp), self._stamps()
            self._store.photograph(database)
            if (_content(timestamp), self._stamps()) == before:
                break
            log.info("backup.again", why="something was published")
            time.sleep(PAUSE)
        else:
            raise StoreError("something is published all the time", hint="try again later")
        if wrong := photograph.problem(database):
            raise StoreError(f"the database is damaged: {wrong}", hint="`toweros restore` brings an older one back")
        self._files["toweros.db"], self._sources["toweros.db"] = digest_file(database), database
        for path in self._metadata():
            self._add(f"repo/metadata/{path.name}", path.read_bytes())
        for name in self._folder.repositories():
            for file, data in files_of(self._folder.read, name):
                self._add(f"repo/metadata/{file}", data)

    def _stamps(self) -> dict[str, object]:
        """What changes when something is published for any box."""
        folder = self._folder
        return {name: folder.stamp(f"{name}/timestamp.json") for name in folder.repositories()}

    @property
    def _folder(self) -> Folder:
        return Folder(self._store.paths.metadata)

    def _metadata(self) -> list[Path]:
        """What `timestamp.json` reaches, and the roots. These files never change under their names."""
        folder = self._store.paths.metadata
        timestamp, names = folder / "timestamp.json", list[str]()
        if timestamp.is_file():
            names = [timestamp.name, f"{_versions(timestamp)['snapshot.json']}.snapshot.json"]
            names += [f"{version}.{name}" for name, version in _versions(folder / names[1]).items()]
        roots = sorted(path.name for path in folder.glob("[0-9]*.root.json"))
        return [folder / name for name in [*roots, *names]]

    def _needed(self) -> set[str]:
        needed = {digest for made in self._store.offers.made() for digest in made.blobs}
        deployed = self._store.notes.get(LastDeployed)
        return needed | {ref.sha256 for ref in (deployed.revision.evidence if deployed else ())}

    def _left_behind(self) -> set[str]:
        """The layers of offers whose boxes have a newer candidate, but for those that the newest releases have."""
        newest: dict[str, set[str]] = {}
        offered = set[str]()
        for made in self._store.offers.made():
            newest[made.box] = {*made.layers}
            offered |= {*made.layers}
        return offered.difference(*newest.values())

    def _add(self, name: str, data: bytes) -> None:
        self._files[name], self._sources[name] = BlobRef(sha256(data), len(data)), data

    def _add_blob(self, digest: str, path: Path) -> None:
        name = f"blobs/sha256/{digest}"
        try:
            ref = digest_file(path)
        except OSError:
            ref = None
        if ref is None or ref.sha256 != digest:
            self._left_out.append(name)
            log.warning("backup.left_out", file=name, why="missing" if ref is None else "damaged")
            return
        self._files[name], self._sources[name] = ref, path


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _versions(path: Path) -> dict[str, int]:
    """File name -> version, as a snapshot or timestamp of our own says."""
    try:
        meta = json.loads(path.read_bytes())["signed"]["meta"]
        return {name: int(row["version"]) for name, row in meta.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "`toweros restore` brings an older backup back"
        raise StoreError(f"{path} is damaged: {type(error).__name__}", hint=hint) from error


def not_in_it(keys: Path, secrets: Iterable[Path | None]) -> str:
    """What an operator has to keep apart, in words."""
    apart = [f"the keys in {keys}", "toweros.toml", *(str(path) for path in secrets if path)]
    return f"not in it, keep them apart: {', '.join(apart)}"
