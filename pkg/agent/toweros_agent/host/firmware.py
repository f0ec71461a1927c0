"""Whom the firmware trusts, and whether it looks at all (UEFI 2.10, 3.3: SecureBoot; 32.4.1: signature lists).

In: efivarfs, the ESP. Out: facts for the report, which the controller compares with what was enrolled, and what is
wrong in any case. Rules: a key database is told by one digest that neither owners nor order change: the SHA-256 of
the sorted SHA-256 digests (hex, a line each) of its certificates and hashes. Of dbx, which others may add to, it is
told as well what it grew from. Nothing is written but that memory.

    firmware.facts()     # {"secure_boot": True, "setup_mode": False, "keys": {"PK": "9f86...", "dbx": ""}, "grown": []}
    firmware.problems()  # ["systemd-boot is gone from the ESP: ..."]
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from toweros_agent.firmware.efivars import (
    FALLBACK_NAME,
    GLOBAL,
    LOADER_NAME,
    LOADER_PATH,
    Variables,
    option_name,
)
from toweros_agent.host.forbidden import Forbidden, digest_of
from toweros_agent.nouns import Json, sha256

DATABASES = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
"""The vendor of db and dbx."""
KEYS = {"PK": GLOBAL, "KEK": GLOBAL, "db": DATABASES, "dbx": DATABASES}
LIST_HEADER, OWNER = 28, 16
"""Bytes of EFI_SIGNATURE_LIST before its header; of a signature's owner."""


class Firmware:
    """`esp` is where the ESP is mounted; `state` is where the memory of dbx is."""

    def __init__(self, esp: Path, variables: Variables, state: Path) -> None:
        self.esp, self.variables, self.forbidden = esp, variables, Forbidden(state)

    def facts(self) -> Json | None:
        """None: this firmware does not say (a machine without UEFI variables)."""
        secure, setup = (self._flag(name) for name in ("SecureBoot", "SetupMode"))
        if secure is None:
            return None
        listed = {name: fingerprints(self.variables.get(name, vendor)) for name, vendor in KEYS.items()}
        keys = {name: digest_of(each) for name, each in listed.items()}
        grown = self.forbidden.grown(listed["dbx"])
        return {"secure_boot": secure, "setup_mode": bool(setup), "keys": keys, "grown": grown}

    def problems(self) -> list[str]:
        """What keeps the box from a start, or from its way back, next time."""
        told = []
        if not self._file(LOADER_PATH).is_file():
            told.append("systemd-boot is gone from the ESP: the firmware's fallback entry alone starts this box")
        options = self.variables.options()
        for name in (LOADER_NAME, FALLBACK_NAME):
            numbers = [number for number in self.variables.order() if option_name(options.get(number, b"")) == name]
            if not numbers:
                told.append(f"the firmware's boot entry {name!r} is gone")
            elif name == FALLBACK_NAME and not (path := file_path(options[numbers[0]])):
                told.append(f"the firmware's boot entry {name!r} names no file")
            elif name == FALLBACK_NAME and not self._file(path).is_file():
                told.append(f"the firmware's boot entry {name!r} names {path}, which is gone")
        return told

    def _flag(self, name: str) -> bool | None:
        value = self.variables.get(name)
        return None if not value else value[0] == 1

    def _file(self, path: str) -> Path:
        return self.esp.joinpath(*(part for part in path.split("\\") if part not in ("", "..")))


def fingerprints(database: bytes | None) -> list[str]:
    """What a key database lists; nothing when there is none."""
    return [sha256(each) for each in signatures(database or b"")]


def signatures(data: bytes) -> Iterator[bytes]:
    """The certificates and hashes of a key database; what is cut short ends it."""
    while len(data) >= LIST_HEADER:
        size, header, each = struct.unpack_from("<III", data, 16)
        if each <= OWNER or not LIST_HEADER + header <= size <= len(data):
            return
        for place in range(LIST_HEADER + header, size - each + 1, each):
            yield data[place + OWNER : place + each]
        data = data[size:]


def file_path(option: bytes) -> str:
    """The file that a load option names (UEFI 2.10, 3.1.3 and 10.3.5.4); "" when it names none."""
    (length,) = struct.unpack_from("<H", option, 4) if len(option) >= 6 else (0,)
    name_end = next((at for at in range(6, len(option) - 1, 2) if option[at : at + 2] == b"\0\0"), len(option))
    nodes = option[name_end + 2 : name_end + 2 + length]
    while len(nodes) >= 4:
        kind, subtype, size = struct.unpack_from("<BBH", nodes)
        if kind == 4 and subtype == 4:
            return nodes[4:size].decode("utf-16-le", errors="replace").rstrip("\0")
        nodes = nodes[max(size, 4) :]
    return ""
