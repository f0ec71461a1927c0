"""A Debian repository for one test: packages by dpkg-deb, indexes by apt-ftparchive, signed by a key of its own.

with Debian(tmp_path) as debian:
    debian.add("hello", "1.0", depends="lib")
    debian.add("lib", "1.1", suite="trixie-security")
    debian.publish()
    monkeypatch.setattr("gitops.builders.apt.mirrors", debian.mirrors)
    debian.withdraw("hello", "1.0")         # as a mirror does when the next version comes
    debian.publish()

`Debian(tmp_path, stock)` begins with what the function `stock` adds: made once per test process, and copied.
"""

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from gitops.builders.mirrors import Mirror
from tests.kit.remote import scratch
from tests.kit.servers import files

SUITES = ("trixie", "trixie-security")
MAKER = "tests@debian.invalid"


class Debian:
    """It lies in `root`, its key in `keyring` (binary) and `key` (armoured). `asked`: the paths that it gave."""

    def __init__(self, folder: Path, stock: "Callable[[Debian], None] | None" = None) -> None:
        self.root, self._home = folder / "debian", folder / "gnupg"
        self.keyring, self.key = folder / "debian.gpg", folder / "debian.asc"
        self._work, self._stack = folder / "debs", ExitStack()
        self.url, self.asked = "", list[str]()
        self._seconds = 1_700_000_000
        self._work.mkdir(parents=True)
        if stock:
            self._copy(_stocked(stock))
        else:
            self._begin()

    def _begin(self) -> None:
        self.root.mkdir()
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", MAKER, "ed25519", "sign", "never")
        self.keyring.write_bytes(self._gpg("--export", MAKER))
        self.key.write_bytes(self._gpg("--armor", "--export", MAKER))

    def _copy(self, other: "Debian") -> None:
        self._seconds = other._seconds
        shutil.copytree(other.root, self.root)
        shutil.copytree(other._home, self._home, ignore=shutil.ignore_patterns("S.*", "*.lock"))
        for mine, theirs in ((self.keyring, other.keyring), (self.key, other.key)):
            shutil.copyfile(theirs, mine)

    def __enter__(self) -> Self:
        self.url, self.asked = self._stack.enter_context(files(self.root))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.end()

    def end(self) -> None:
        """gpg starts an agent for each home."""
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)

    def mirrors(self) -> tuple[Mirror, ...]:
        """What a controller's apt would be configured with."""
        return tuple(Mirror(self.url, suite, self.keyring) for suite in SUITES)

    def add(
        self,
        name: str,
        version: str,
        *,
        suite: str = SUITES[0],
        component: str = "main",
        files: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Path:
        """Build a package and lay it into the pool; `depends`, `conflicts`, `source` ... are fields of its control.
        `files`: path below / -> text."""
        root = self._work / f"{name}_{version}"
        (root / "DEBIAN").mkdir(parents=True)
        control = {"Package": name, "Version": version, "Architecture": "amd64", "Maintainer": f"tests <{MAKER}>"}
        control |= {key.title().replace("_", "-"): value for key, value in fields.items()} | {"Description": name}
        (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        (root / "usr/share" / name).mkdir(parents=True)
        (root / "usr/share" / name / "version").write_text(f"{version}\n")
        for path, text in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        target = self._pool(suite, component) / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, target], check=True, capture_output=True)
        return target

    def withdraw(self, name: str, version: str) -> None:
        """Take a package out of the pool; `publish` takes it out of the index."""
        for path in self.root.glob(f"pool/*/*/{name}_{version.replace(':', '%3a')}_amd64.deb"):
            path.unlink()

    def publish(self, *, signed: bool = True, valid_until: str = "") -> None:
        """Write and sign the indexes of all suites. `valid_until`: a date as in RFC 5322, of the Release files."""
        for suite in SUITES:
            components = sorted({"main", *(path.name for path in self.root.glob(f"pool/{suite}/*"))})
            for component in components:
                self._index(suite, component)
            self._release(suite, components, signed, valid_until)

    def sign(self) -> None:
        """Sign the indexes as they lie there, whatever was done to them."""
        for suite in SUITES:
            self._release(suite, ["main"], signed=True, valid_until="")

    def expire(self) -> None:
        """The key is good for a second more; its export says so."""
        (row,) = [row for row in self._gpg("--with-colons", "--list-keys").decode().splitlines() if row[:3] == "fpr"]
        self._gpg("--quick-set-expire", row.split(":")[9], "seconds=1")
        self.keyring.write_bytes(self._gpg("--export", MAKER))
        self.key.write_bytes(self._gpg("--armor", "--export", MAKER))
        deadline = time.monotonic() + 30
        while not self._gpg("--show-keys", "--with-colons", str(self.key)).startswith(b"pub:e:"):
            assert time.monotonic() < deadline, "it does not expire"
            time.sleep(0.2)
        time.sleep(1)  # whoever counts in whole seconds sees it, too

    def change(self, path: str, old: bytes, new: bytes) -> None:
        """Change a published file behind the back of its signature."""
        file = self.root / path
        data = file.read_bytes()
        assert old in data
        file.write_bytes(data.replace(old, new, 1))
        self._date(file)

    def _date(self, file: Path) -> None:
        """A second later than the last: a server tells changes by whole seconds, and tests are faster."""
        self._seconds += 1
        os.utime(file, (self._seconds, self._seconds))

    def _pool(self, suite: str, component: str) -> Path:
        return self.root / "pool" / suite / component

    def _index(self, suite: str, component: str) -> None:
        self._pool(suite, component).mkdir(parents=True, exist_ok=True)
        folder = self.root / "dists" / suite / component / "binary-amd64"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Packages").write_bytes(self._ftparchive("packages", f"pool/{suite}/{component}"))

    def _release(self, suite: str, components: list[str], signed: bool, valid_until: str) -> None:
        folder = self.root / "dists" / suite
        for old in ("Release", "InRelease"):
            (folder / old).unlink(missing_ok=True)
        fields = {"Suite": suite, "Codename": suite, "Architectures": "amd64", "Components": " ".join(components)}
        words = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in fields.items()]
        text = self._ftparchive(*words, "release", f"dists/{suite}")
        text = (f"Valid-Until: {valid_until}\n".encode() if valid_until else b"") + text
        (folder / "Release").write_bytes(text)
        self._date(folder / "Release")
        if signed:
            (folder / "InRelease").write_bytes(self._gpg("--clearsign", stdin=text))
            self._date(folder / "InRelease")

    def _ftparchive(self, *words: str) -> bytes:
        command = ["apt-ftparchive", *words]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True).stdout

    def _gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--passphrase", "", *words]
        return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout


@functools.cache
def _stocked(stock: Callable[[Debian], None]) -> Debian:
    """Packages, indexes and a key take a second: made once per test process."""
    made = Debian(scratch())
    stock(made)
    made.publish()
    made.end()
    return made
