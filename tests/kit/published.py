"""What tests of publishing and serving share: a store with keys, and releases that are small but real."""

import functools
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gitops.model import BlobRef, Content, HealthSpec, Layer, Mounted, Publication, Release, Revision
from gitops.publish import Publisher
from gitops.sign import Signer, keys
from gitops.store import Store
from gitops.store.files.verity import root_hash
from tests.kit.remote import scratch

PASSPHRASE = b"for tests only"
NOW = 1_790_000_000


@dataclass
class Kit:
    """A store, its keys and its publisher."""

    folder: Path
    store: Store
    signer: Signer
    publisher: Publisher

    def layer(self, data: bytes) -> Layer:
        """A layer in the store."""
        file = self.folder / "layer"
        file.write_bytes(data.ljust(-(-len(data) // 4096) * 4096, b"\0"))
        layer = Layer(root_hash(file), file.stat().st_size)
        self.store.layers.add(file, layer.root)
        return layer

    def publication(self, box: str, sequence: int, text: bytes = b"one") -> Publication:
        base, own = self.layer(b"base"), self.layer(text)
        boot = BlobRef("ab" * 32, 1)
        mounted = (Mounted("services/hello", "rootfs", (base, own)),)
        release = Release(box, sequence, Content(boot, boot, "quiet", (base,), mounted, HealthSpec(5)))
        blobs = [self.store.blobs.put(data) for data in (release.encode(), b"uki", f"addon {box} {sequence}".encode())]
        return Publication(release, Revision("main", f"{sequence:040x}", sequence, NOW), *blobs)


def kit(folder: Path, *, foreign: bool = False) -> Kit:
    """A new store and publisher; all kits share one set of keys, but `foreign` ones."""
    folder.mkdir(parents=True, exist_ok=True)
    if foreign:
        keys.init(folder / "keys", PASSPHRASE)
    else:
        shutil.copytree(shared_keys(), folder / "keys")
    store = Store.open(folder / "state")
    signer = Signer.open(folder / "keys", store)
    return Kit(folder, store, signer, Publisher(store, signer))


@functools.cache
def shared_keys() -> Path:
    """RSA keys take seconds: made once per test process."""
    folder = scratch()
    keys.init(folder / "keys", PASSPHRASE)
    return folder / "keys"


def published(state: Path) -> dict[str, bytes]:
    """The metadata that boxes can fetch: what `timestamp.json` reaches, and the roots."""
    metadata = {path.name: path.read_bytes() for path in sorted((state / "repo" / "metadata").glob("*.json"))}
    meta = json.loads(metadata["timestamp.json"])["signed"]["meta"]
    snapshot = f"{meta['snapshot.json']['version']}.snapshot.json"
    meta = json.loads(metadata[snapshot])["signed"]["meta"]
    reached = {"timestamp.json", snapshot, *(f"{row['version']}.{role}" for role, row in meta.items())}
    return {name: data for name, data in metadata.items() if name in reached or name.endswith(".root.json")}


def table_rows(store: Store, tables: Iterable[str]) -> dict[str, object]:
    """Every row of these tables, in an order of their own."""
    with store._database.read() as connection:
        return {
            table: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {table}").all()), key=repr)
            for table in tables
        }
