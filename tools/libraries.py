"""The locked Python libraries, copied out of the environment that runs this: pip has proven their archives there.

In: a lock file with hashes, an environment that was installed from it. Out: a `site-packages` with those libraries and
nothing else: no tool of the tests, no bytecode, no script. Rules: a library of another version, and a file that is not
what its RECORD says, is refused: what is packed is what pip has checked. The same environment makes the same bytes.

    .venv/bin/python tools/libraries.py requirements.lock OUT
"""

import base64
import hashlib
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z0-9,.-]+\])?==(\S+)", re.M)
ONLY_TO_INSTALL = {"setuptools", "pip", "wheel"}
FRESH = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}
"""What pip writes by itself: without a digest, or another one each time."""


def main(lock: Path, out: Path) -> None:
    """Copy every library that the lock names."""
    pins = {name: version for name, version in PIN.findall(lock.read_text()) if name not in ONLY_TO_INSTALL}
    if not pins:
        raise SystemExit(f"error: {lock} names no library")
    for name, version in sorted(pins.items()):
        copy(found(name, version), out)


def found(name: str, version: str) -> Distribution:
    try:
        here = distribution(name)
    except PackageNotFoundError:
        raise SystemExit(f"error: {name} is not in this environment: run `make install`") from None
    if here.version != version:
        raise SystemExit(f"error: {name} is {here.version} here, the lock says {version}: run `make install`")
    return here


def copy(library: Distribution, out: Path) -> None:
    """Its files, as long as they are what pip installed."""
    for file in library.files or ():
        path = PurePosixPath(file)
        if ".." in path.parts or path.is_absolute() or "__pycache__" in path.parts or path.name in FRESH:
            continue
        data = Path(str(library.locate_file(file))).read_bytes()
        if file.hash and digest(file.hash.mode, data) != file.hash.value:
            raise SystemExit(f"error: {path} was changed since it was installed: remove .venv, run `make install`")
        place = out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o644)


def digest(kind: str, data: bytes) -> str:
    """As RECORD writes it: base64 without its padding (PEP 376)."""
    return base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: libraries.py LOCK OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
