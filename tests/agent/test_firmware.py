"""What the agent reads of the firmware, from variables as firmware has them, and what the controller makes of it."""

import struct
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from toweros_agent.firmware.efivars import (
    FALLBACK_NAME,
    GLOBAL,
    LOADER_NAME,
    LOADER_PATH,
    Partition,
    Variables,
    load_option,
)
from toweros_agent.host.firmware import DATABASES, Firmware, fingerprints, signatures
from toweros_agent.host.forbidden import digest_of
from virt.firmware.varstore.edk2 import Edk2VarStore

from gitops.lab.firmware import VARIABLES, Certificates, enroll_keys
from gitops.sign.enrolled import problems, remember
from gitops.store import Store
from gitops.store.notes.box_keys import Enrolled
from tests.kit.published import shared_keys
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer

PARTITION = Partition(1, 2048, 131072, uuid.UUID(int=1))


@pytest.fixture(scope="module")
def keys() -> Path:
    return shared_keys()


@pytest.fixture(scope="module")
def enrolled(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The variables that a machine with our keys starts with."""
    return enroll_keys(tmp_path_factory.mktemp("vars") / "vars.fd", Certificates.of_folder(keys))


def running(folder: Path, file: Path, *, secure: bool, setup: bool) -> Firmware:
    """A box whose firmware began with the variables of `file`."""
    efivars, esp = folder / "efivars", folder / "esp"
    for name in (efivars, esp / "EFI" / "BOOT", esp / "EFI" / "Linux"):
        name.mkdir(parents=True)
    for variable in Edk2VarStore(str(file)).get_varlist().values():
        path = efivars / f"{variable.name}-{variable.guid}"
        path.write_bytes(struct.pack("<I", variable.attr) + variable.data)
    for flag, value in (("SecureBoot", secure), ("SetupMode", setup)):
        (efivars / f"{flag}-{GLOBAL}").write_bytes(struct.pack("<IB", 6, value))
    (esp / "EFI" / "BOOT" / "BOOTX64.EFI").touch()
    (esp / "EFI" / "Linux" / "toweros-6.efi").touch()
    made = Firmware(esp, Variables(efivars), folder)
    options = ((LOADER_NAME, LOADER_PATH), (FALLBACK_NAME, r"\EFI\Linux\toweros-6.efi"))
    made.variables.keep([(name, load_option(name, PARTITION, file)) for name, file in options])
    return made


def told(firmware: Firmware, keys: Path, folder: Path) -> list[str]:
    store = Store.open(folder / "store", migrate=True)
    remember(store, keys)
    facts, known = firmware.facts(), store.notes.get(Enrolled)
    assert facts and known
    return problems(known.rows, facts)


def test_what_we_enrolled_is_what_the_box_reports(tmp_path: Path, keys: Path, enrolled: Path) -> None:
    firmware = running(tmp_path, enrolled, secure=True, setup=False)
    assert told(firmware, keys, tmp_path) == []
    assert firmware.problems() == []


def test_secure_boot_off_is_noticed(tmp_path: Path, keys: Path, enrolled: Path) -> None:
    assert told(running(tmp_path, enrolled, secure=False, setup=False), keys, tmp_path) == ["Secure Boot is off"]


def test_setup_mode_is_noticed(tmp_path: Path, keys: Path) -> None:
    assert told(running(tmp_path, VARIABLES, secure=False, setup=True), keys, tmp_path) == [
        "Secure Boot is off",
        "the firmware is in setup mode: whoever reaches it enrols keys",
        "the firmware's PK, KEK, db is not what was enrolled",
    ]


def test_one_key_more_in_db_is_noticed(tmp_path: Path, keys: Path, enrolled: Path) -> None:
    firmware = running(tmp_path, enrolled, secure=True, setup=False)
    db = tmp_path / "efivars" / f"db-{DATABASES}"
    more = struct.pack("<16sIII", bytes(16), 28 + 16 + 32, 0, 16 + 32) + bytes(16) + b"h" * 32
    db.write_bytes(db.read_bytes() + more)
    assert told(firmware, keys, tmp_path) == ["the firmware's db is not what was enrolled"]


def test_owners_and_order_do_not_matter() -> None:
    def a_list(owner: bytes, *each: bytes) -> bytes:
        size = 16 + len(each[0])
        head = struct.pack("<16sIII", b"t" * 16, 28 + size * len(each), 0, size)
        return head + b"".join(owner + one for one in each)

    one, two = b"1" * 32, b"2" * 32
    same = (a_list(b"a" * 16, one, two), a_list(b"b" * 16, two) + a_list(b"c" * 16, one))
    assert len({digest_of(fingerprints(each)) for each in same}) == 1
    assert digest_of(fingerprints(None)) == digest_of(fingerprints(b"")) == ""


@pytest.mark.parametrize(
    "data", [b"x" * 27, b"\xff" * 64, bytes(64), struct.pack("<16sIII", b"", 44, 0, 0) + bytes(16)]
)
def test_a_damaged_database_is_read_to_its_damage(data: bytes) -> None:
    assert list(signatures(data)) == []


GONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "systemd-boot": (
        lambda box: (box / "esp/EFI/BOOT/BOOTX64.EFI").unlink(),
        "systemd-boot is gone from the ESP: the firmware's fallback entry alone starts this box",
    ),
    "the fallback release": (
        lambda box: (box / "esp/EFI/Linux/toweros-6.efi").unlink(),
        r"the firmware's boot entry 'TowerOS fallback' names \EFI\Linux\toweros-6.efi, which is gone",
    ),
    "the fallback entry": (
        lambda box: (box / f"efivars/Boot0002-{GLOBAL}").unlink(),
        "the firmware's boot entry 'TowerOS fallback' is gone",
    ),
    "its place in the order": (
        lambda box: (box / f"efivars/BootOrder-{GLOBAL}").write_bytes(bytes(4) + struct.pack("<H", 2)),
        "the firmware's boot entry 'TowerOS' is gone",
    ),
}


@pytest.mark.parametrize("what", GONE)
def test_a_way_back_that_is_gone_is_noticed(tmp_path: Path, enrolled: Path, what: str) -> None:
    firmware = running(tmp_path, enrolled, secure=True, setup=False)
    take_away, words = GONE[what]
    take_away(tmp_path)
    assert firmware.problems() == [words]


def test_a_machine_without_uefi_variables_says_nothing(tmp_path: Path) -> None:
    assert Firmware(tmp_path, Variables(tmp_path / "none"), tmp_path).facts() is None


def test_the_report_says_it(tmp_path: Path) -> None:
    with UpdateServer("demo-1") as server:
        made = make(7)
        server.publish(made.document, made.uki, made.addon)
        box = Box(tmp_path, server.url, server.root)
        box.install(made)
        for flag in ("SecureBoot", "SetupMode"):
            (box.places.efivars / f"{flag}-{GLOBAL}").write_bytes(struct.pack("<IB", 6, flag == "SetupMode"))
        agent = box.power_on()
        assert agent
        drive(agent, State.IDLE)
        agent.step()
        said = box.report(server)
        none = dict.fromkeys(("PK", "KEK", "db", "dbx"), "")
        assert said["firmware"] == {"secure_boot": False, "setup_mode": True, "keys": none, "grown": []}
        assert (said["health"], said["degraded"]) == ("Healthy", []), "the controller knows whether that is right"
        (box.esp / "EFI" / "BOOT" / "BOOTX64.EFI").unlink()
        agent.step()
        said = box.report(server)
        assert said["health"] == "Degraded" and "systemd-boot is gone from the ESP" in str(said["degraded"])
