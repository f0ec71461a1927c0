"""Keys in tokens, where a verb takes one: `--key pkcs11:...`; and `toweros keys move`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from securesystemslib.signer import CryptoSigner

from gitops.cli.keys.passphrase import PassphraseOption, passphrase
from gitops.cli.output import talk
from gitops.errors import SettingsError
from gitops.sign import keys
from gitops.sign.tokens import reference, uri
from gitops.sign.tokens.held import AnyHeld, HeldEd25519, HeldP256
from gitops.sign.tokens.moving import move as moved

HELP = "A key that is in a token, by its URI (pkcs11:...), in place of a new one."
KeyOption = Annotated[list[str] | None, typer.Option("--key", help=f"{HELP} root: as often as there are some.")]
Kind = TypeVar("Kind")


def found(text: str, folder: Path | None = None) -> AnyHeld:
    """The key that a URI names. `folder`: where a refused PIN is noted."""
    if not uri.is_uri(text):
        raise SettingsError("--key takes the URI of a key in a token here", hint=uri.FORM)
    return reference.found(uri.parse(text, "--key"), folder)


def one(texts: Sequence[str] | None, folder: Path, kind: type[Kind], role: str) -> Kind | None:
    """The key for a role that has one; None: nothing was named."""
    if not texts:
        return None
    if len(texts) > 1:
        raise SettingsError(f"{role} has one key", hint="--key once")
    return _of(found(texts[0], folder), kind, role)


def several(texts: Sequence[str] | None, folder: Path, role: str) -> tuple[HeldEd25519 | HeldP256, ...]:
    """The keys for TUF's roles."""
    if texts and len(texts) > 1 and role != "root":
        raise SettingsError(f"{role} has one key", hint="--key once")
    return tuple(_metadata(found(text, folder), role) for text in texts or ())


def root_key(text: str, file: Path | None) -> CryptoSigner:
    """A root key for a ceremony: a URI, a file that names a token, or a file with a passphrase."""
    if uri.is_uri(text):
        return CryptoSigner(_metadata(found(text), "root"))
    path = Path(text)
    return keys.load_root_keys([path], b"" if path.is_file() and keys.held(path) else passphrase(file, new=False))[0]


def unlocking(place: Path, file: Path | None, *, makes: bool = False) -> bytes:
    """The root keys' passphrase; nobody is asked where all of them are in tokens. `makes`: files as well."""
    roots = [*(place / "root").glob("root-*.pem")]
    if file is None and roots and not makes and all(keys.held(path) for path in roots):
        return b""
    return passphrase(file, new=False)


def move(
    file: Annotated[Path, typer.Argument(help="A private key of the keys folder, or one that names a token.")],
    key: Annotated[str, typer.Option(help="The same key in a token, by its URI (pkcs11:...).")],
    passphrase_file: PassphraseOption = None,
) -> None:
    """Let FILE name the same key in a token, where it was imported (or copied) before."""
    lock = b"ENCRYPTED" in file.read_bytes() if file.is_file() else False
    held = found(key, reference.memory(file))
    kept = moved(file, held, passphrase(passphrase_file, new=False) if lock else b"")
    talk.print(f"{file} names the key in the token")
    if kept:
        talk.print(f"{kept} is the private key: keep it in the backup, and remove it here")


def _metadata(key: AnyHeld, role: str) -> HeldEd25519 | HeldP256:
    if not isinstance(key, HeldEd25519 | HeldP256):
        raise SettingsError(f"{role} takes an Ed25519 or a P-256 key, and this is another kind")
    return key


def _of(key: object, kind: type[Kind], role: str) -> Kind:
    if not isinstance(key, kind):
        raise SettingsError(f"{role} takes another kind of key", hint="docs/keys.md, Keys in tokens")
    return key
