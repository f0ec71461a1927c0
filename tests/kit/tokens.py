"""A token of SoftHSM, with keys that were imported; and modules that have a fault."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gitops.sign.tokens import session

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "48151623"
SOURCE = Path(__file__).parents[1] / "simulators" / "token_module.c"


@dataclass
class Token:
    """One token, in a folder. `pin`: the file with its PIN."""

    folder: Path
    module: str = MODULE
    count: int = 0
    labels: list[str] = field(default_factory=list)

    @property
    def pin(self) -> Path:
        return self.folder / "pin"

    @property
    def logins(self) -> int:
        """How often a module with a fault was asked to log in."""
        file = self.folder / "logins"
        return file.stat().st_size if file.exists() else 0

    def uri(self, label: str) -> str:
        return f"pkcs11:token=fleet;object={label}?module-path={self.module}&pin-source=file:{self.pin}"

    def add(self, label: str, kind: str = "ed25519") -> str:
        """A new key; returns its URI."""
        kinds = {
            "ed25519": Ed25519PrivateKey.generate,
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
            "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        }
        return self.take(label, kinds[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def take(self, label: str, private: bytes) -> str:
        """A key that there is; returns its URI."""
        file = self.folder / "import.pem"
        file.write_bytes(private)
        self.count += 1
        util("--import", file, "--token", "fleet", "--label", label, "--id", f"{self.count:02x}", "--pin", PIN)
        file.unlink()
        return self.uri(label)

    def faulty(self, fault: str = "") -> None:
        """From now on the token is reached by a module with this fault."""
        made = self.folder / f"module{fault}.so"
        names = [f'-DSOFTHSM="{MODULE}"', f'-DLOGINS="{self.folder}/logins"', *([f"-D{fault}"] if fault else [])]
        subprocess.run(["gcc", "-w", "-shared", "-fPIC", *names, "-o", made, SOURCE, "-ldl"], check=True)
        self.module = str(made)

    def away(self) -> None:
        (self.folder / "tokens").rename(self.folder / "drawer")
        (self.folder / "tokens").mkdir()

    def back(self) -> None:
        (self.folder / "tokens").rmdir()
        (self.folder / "drawer").rename(self.folder / "tokens")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    """A token of its own; nothing is remembered of another."""
    made = Token(tmp_path / "softhsm")
    (made.folder / "tokens").mkdir(parents=True)
    config = made.folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {made.folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    monkeypatch.setattr(session, "_tokens", {})
    util("--init-token", "--free", "--label", "fleet", "--pin", PIN, "--so-pin", "10846512")
    made.pin.write_text(f"{PIN}\n")
    made.pin.chmod(0o600)
    return made


def util(*words: str | Path) -> None:
    done = subprocess.run(["softhsm2-util", *words], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
