"""A root file system becomes an OCI archive of one layer, the same bytes each time; its digest is printed.

In: a tar, a version, where to. Out: an OCI image layout as a tar (OCI image-spec 1.1), with Docker's manifest.json
beside it, so that `docker load` takes it, too.

    .venv/bin/python tools/oci.py root.tar 0.2.0 toweros-0.2.0.oci.tar
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

NAME = "toweros"
LAYER, CONFIG, MANIFEST, INDEX = (
    f"application/vnd.oci.image.{kind}"
    for kind in ("layer.v1.tar+gzip", "config.v1+json", "manifest.v1+json", "index.v1+json")
)
CHUNK = 1 << 20


def main(root: Path, version: str, out: Path) -> str:
    """Write the archive; returns the manifest's digest."""
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        layer = Path(folder, "layer")
        diff_id = pack(root, layer)
        config = encoded(configuration(made, diff_id, version))
        with layer.open("rb") as packed:
            digest = hashlib.file_digest(packed, "sha256").hexdigest()
        manifest = encoded(manifest_of(config, digest, layer.stat().st_size, version))
        archive = Path(folder, "archive")
        with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as files:
            write(files, manifest, config, layer, digest, version)
        archive.replace(out)
    return sha256(manifest)


def pack(root: Path, layer: Path) -> str:
    """The tar by gzip, without a name or time in it; returns the digest of what it holds."""
    digest = hashlib.sha256()
    with root.open("rb") as source, layer.open("wb") as to, gzip.GzipFile("", "wb", 6, to, mtime=0) as packed:
        while data := source.read(CHUNK):
            digest.update(data)
            packed.write(data)
    return digest.hexdigest()


def configuration(made: str, diff_id: str, version: str) -> dict[str, object]:
    """What an engine starts: the update server, as nobody who is root. A controller says `user: root`."""
    run = {
        "User": "toweros",
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
        "Entrypoint": ["toweros"],
        "Cmd": ["server", "--config", "/etc/toweros/toweros.toml"],
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
        "Labels": {"org.opencontainers.image.title": NAME, "org.opencontainers.image.version": version},
    }
    history = [{"created": made, "created_by": "tools/image"}]
    disk = {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]}
    return {"architecture": "amd64", "os": "linux", "created": made, "config": run, "rootfs": disk, "history": history}


def manifest_of(config: bytes, layer: str, size: int, version: str) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIG, sha256(config), len(config)),
        "layers": [described(LAYER, layer, size)],
        "annotations": {"org.opencontainers.image.version": version},
    }


def write(files: tarfile.TarFile, manifest: bytes, config: bytes, layer: Path, digest: str, version: str) -> None:
    """The members, in a fixed order."""
    name = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": f"{NAME}:{version}"}
    index = {"schemaVersion": 2, "mediaType": INDEX,
             "manifests": [{**described(MANIFEST, sha256(manifest), len(manifest)), "annotations": name}]}  # fmt: skip
    old = [
        {
            "Config": f"blobs/sha256/{sha256(config)}",
            "RepoTags": [f"{NAME}:{version}"],
            "Layers": [f"blobs/sha256/{digest}"],
        }
    ]
    small = {
        "oci-layout": encoded({"imageLayoutVersion": "1.0.0"}),
        "index.json": encoded(index),
        "manifest.json": encoded(old),
        f"blobs/sha256/{sha256(config)}": config,
        f"blobs/sha256/{sha256(manifest)}": manifest,
    }
    for path, data in sorted(small.items()):
        files.addfile(header(path, len(data)), io.BytesIO(data))
    with layer.open("rb") as packed:
        files.addfile(header(f"blobs/sha256/{digest}", layer.stat().st_size), packed)


def header(path: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o644
    return info


def described(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def encoded(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit("usage: oci.py ROOT.TAR VERSION OUT")
    sys.stdout.write(f"sha256:{main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))}\n")
