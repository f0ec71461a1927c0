"""What names a key in a token: a PKCS#11 URI (RFC 7512).

In: its text. Out: module, token, key, and where the PIN is. Rules: a PIN itself is never taken, as it would stand in a
file, in the list of processes, or in a shell's history; what is not understood is refused, for a part that is passed
over might have named another key; no message repeats the text.

    parse("pkcs11:token=fleet;object=targets?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin")
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from gitops.errors import SignError

SCHEME = "pkcs11:"
PATH = ("token", "serial", "object", "id", "type")
QUERY = ("module-path", "pin-source")
FORM = "pkcs11:token=NAME;object=KEY?module-path=/...so&pin-source=file:/..."
NO_PIN = "write the PIN into a file, mode 600: `pin-source=file:/PATH`; or name a variable: `pin-source=env:NAME`"
MAX_PIN = 256
"""Bytes."""


@dataclass(frozen=True)
class PinSource:
    """Where a PIN is: a file, or a variable of the environment."""

    file: Path | None = None
    variable: str = ""

    def __str__(self) -> str:
        return str(self.file or self.variable)

    def read(self) -> str:
        """The PIN.

        Raises:
            SignError: it is not there, or others may read it.
        """
        if self.file is None:
            if self.variable in os.environ:
                return os.environ[self.variable]
            raise SignError(f"{self.variable} is not in the environment, and should hold a PIN")
        try:
            mode, pin = self.file.stat().st_mode, self.file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise SignError(f"{self.file}: {error.strerror}", hint="it should hold a PIN") from error
        if mode & 0o077:
            raise SignError(f"{self.file} is open to others, and holds a PIN", hint=f"chmod 600 {self.file}")
        if not 0 < len(pin) <= MAX_PIN or not pin.isascii():
            raise SignError(f"{self.file} holds no PIN", hint="the PIN alone, on one line")
        return pin.decode()

    @property
    def stamp(self) -> str:
        """What changes when the PIN does, as far as that is seen without keeping anything of it."""
        if self.file is None:
            return "env"
        state = self.file.stat()
        return f"{state.st_ino} {state.st_mtime_ns} {state.st_size}"


@dataclass(frozen=True)
class Uri:
    """A key in a token. `text`: as it was given, which holds no secret."""

    text: str
    module: Path
    token: str = ""
    serial: str = ""
    label: str = ""
    id: bytes = b""
    pin: PinSource | None = None

    @property
    def place(self) -> str:
        """The token, for people."""
        return f"token {self.token or self.serial}"

    def __str__(self) -> str:
        return f"{self.label or self.id.hex()} in {self.place}"


def is_uri(text: str) -> bool:
    """Whether it names a key in a token, and no file."""
    return text.startswith(SCHEME)


def parse(text: str, where: str = "") -> Uri:
    """`where`: file and line, or the option, for messages.

    Raises:
        SignError: it is no such URI, has a PIN in it, or says too little or what is not known.
    """
    path, _, query = text.strip().removeprefix(SCHEME).partition("?")
    try:
        if not is_uri(text):
            raise SignError("this is no PKCS#11 URI")
        if re.search(r"(^|[?&;])pin-value=", text):
            raise SignError("`pin-value` stands in a PKCS#11 URI: change that PIN, it was readable", hint=NO_PIN)
        names, options = _parts(path, ";", PATH), _parts(query, "&", QUERY)
        return _made(text.strip(), names, options)
    except SignError as error:
        raise SignError(f"{where}: {error.message}" if where else error.message, hint=error.hint or FORM) from None


def _made(text: str, names: Mapping[str, bytes], options: Mapping[str, bytes]) -> Uri:
    said = {name: value.decode() for name, value in names.items() if name != "id"}
    if not {"token", "serial"} & names.keys() or not {"object", "id"} & names.keys():
        raise SignError("a PKCS#11 URI names a token (`token` or `serial`) and a key in it (`object` or `id`)")
    if said.get("type", "private") != "private":
        raise SignError(f"`type` is `{said['type']}`, and only a private key signs")
    module = Path(options.get("module-path", b"").decode())
    if not module.is_absolute():
        raise SignError("a PKCS#11 URI says the whole path of the token's module: `module-path=/...so`")
    pin = _pin(options["pin-source"].decode()) if "pin-source" in options else None
    serial, label = said.get("serial", ""), said.get("object", "")
    return Uri(text, module, said.get("token", ""), serial, label, names.get("id", b""), pin)


def _parts(text: str, between: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(between) if text else ():
        name, equals, value = part.partition("=")
        data = unquote_to_bytes(value)
        if name not in known or not equals or not data or name in found:
            shown = name if name in known or (equals and re.fullmatch("[a-z-]{1,30}", name)) else "a part"
            raise SignError(f"`{shown}` in a PKCS#11 URI is not known, empty, or there twice", hint=FORM)
        if name != "id" and (not data.isascii() or not data.decode().isprintable()):
            raise SignError(f"`{name}` in a PKCS#11 URI is not printable ASCII")
        found[name] = data
    return found


def _pin(source: str) -> PinSource:
    kind, _, rest = source.partition(":")
    if kind == "file" and (path := Path(re.sub("^//(?=/)", "", rest))).is_absolute():
        return PinSource(file=path)
    if kind == "env" and re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", rest):
        return PinSource(variable=rest)
    raise SignError("`pin-source` is neither `file:/PATH` nor `env:NAME`", hint=NO_PIN)
