"""Locked files come into the store: from there when they were used before, else from mirror or index, digest first.

In: a package's lock. Out: every file in `store.blobs`. Rules: a file is taken only with the SHA-256 that the lock says;
a few at a time; what was fetched before a stop need not be fetched again.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import stamina
import structlog

from gitops.builders.lock import fetch_wheel
from gitops.builders.mirrors import mirrors
from gitops.errors import BuildError
from gitops.model import LockedFile, Package
from gitops.store import Store
from gitops.store.files.blobs import digest_file

log = structlog.get_logger(__name__)

PARALLEL = 4
TIMEOUT = (10, 60)
"""Seconds to connect, and without a byte."""
CHUNK = 1 << 20


def fetch_inputs(store: Store, package: Package) -> None:
    """Bring every locked file of a package into the store.

    Raises:
        BuildError: a file is gone from the mirrors, or is not what the lock says.
    """
    missing = [file for file in package.lock if not store.blobs.has(file.sha256)]
    if not missing:
        return
    log.info("inputs.fetch", package=package.path, files=len(missing), bytes=sum(file.size for file in missing))
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(lambda file: _fetch(store, package.path, file), missing):
            pass


def _fetch(store: Store, package: str, file: LockedFile) -> None:
    with tempfile.TemporaryDirectory(dir=store.paths.root, prefix=".fetch-") as folder:
        target = Path(folder, file.filename)
        if file.kind == "wheel":
            fetch_wheel(f"{file.name}=={file.version}", Path(folder))
        else:
            _download([mirror.uri for mirror in mirrors()], package, file, target)
        if not target.is_file() or digest_file(target).sha256 != file.sha256:
            hint = f"run `toweros lock {package}` if you trust what the mirror has now"
            raise BuildError(f"{package}: {file.filename} is not what packages.lock says", hint=hint)
        store.blobs.put_file(target, move=True)


def _download(bases: Sequence[str], package: str, file: LockedFile, target: Path) -> None:
    """From the first mirror that has it."""
    failures = []
    for base in dict.fromkeys(bases):
        try:
            if _get(f"{base.rstrip('/')}/{file.path}", file.size, target):
                return
        except requests.RequestException as error:
            failures.append(type(error).__name__)
    if not failures:
        hint = f"mirrors drop old versions: run `toweros lock {package}`, and commit"
        raise BuildError(f"{package}: {file.filename} is gone from the mirrors", hint=hint)
    raise BuildError(f"{package}: {file.filename} cannot be fetched ({', '.join(failures)})", hint="try again later")


@stamina.retry(on=requests.RequestException, attempts=3, wait_max=5.0)
def _get(url: str, size: int, target: Path) -> bool:
    """False when the server does not have it. Never takes more bytes than `size`."""
    with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.not_found:
            return False
        answer.raise_for_status()
        with target.open("wb") as out:
            for chunk in answer.iter_content(CHUNK):
                out.write(chunk)
                # Longer than the lock says: its digest will not fit either, so no more is read.
                if out.tell() > size:
                    return True
    return True
