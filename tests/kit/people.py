"""People who sign: keys of ssh and OpenPGP, made by the real tools."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class People:
    """SSH keys and OpenPGP keys made for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "gnupg"
        self.home.mkdir(parents=True, mode=0o700)
        for name in ("ada", "ben", "eve"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
            subprocess.run(command, check=True)

    def key(self, name: str) -> Path:
        return self.folder / name

    def public(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def allowed(self, *names: str, options: str = 'namespaces="git"') -> str:
        return "".join(f"{name} {options} {self.public(name)}\n" for name in names)

    def key_of(self, name: str, kind: str = "ed25519") -> str:
        """Make one more key of ssh."""
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(self.folder / name)]
        subprocess.run(command, check=True)
        return name

    def certified(self, key: str, principals: str, *options: str, by: str = "ca") -> str:
        """Another certificate of a key (`ssh-keygen -s`); `key` of the result signs with it."""
        name = f"{key}-{len(list(self.folder.iterdir()))}"
        for end in ("", ".pub"):
            shutil.copy(self.folder / f"{key}{end}", self.folder / f"{name}{end}")
        named = ["-n", principals] if principals else []
        command = ["ssh-keygen", "-q", "-s", str(self.folder / by), "-I", f"id-{key}", *named, *options]
        subprocess.run([*command, str(self.folder / f"{name}.pub")], check=True)
        return f"{name}-cert.pub"

    def authority(self, names: str, options: str = "", by: str = "ca") -> str:
        """The line of an authority."""
        return f"{names} cert-authority{options and ','}{options} {self.public(by)}\n"

    def gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--passphrase", "", "--quiet", *words]
        done = subprocess.run(command, input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def openpgp(self, name: str, *words: str) -> str:
        """Make a key; returns its fingerprint."""
        self.gpg(*words, "--quick-generate-key", f"{name} <{name}@example.org>", "ed25519", "sign", "0")
        rows = self.gpg("--with-colons", "--list-keys", f"{name}@example.org").decode().splitlines()
        return next(row.split(":")[9] for row in rows if row.startswith("fpr"))

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = People(tmp_path / "people")
    yield made
    made.close()
