"""Boxes follow to other certificates by themselves; at no moment is there one that could not start.

What is cut, refused and lied to here is a firmware of a page (tests/simulators/firmware.py); the programs are signed by
sbsign, and the updates are those that `toweros keys` makes.
"""

import errno
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate
from toweros_agent.firmware.boot_loader import BootLoader
from toweros_agent.firmware.keyring import Keyring, parse
from toweros_agent.machine import State
from toweros_agent.nouns import Refused

from gitops.errors import SignError
from gitops.sign import Signer, keys, secureboot
from gitops.sign.enrolled import behind, problems, remember
from gitops.sign.firmware import renewal
from gitops.sign.firmware.variables import signature_list
from gitops.store import Store
from gitops.store.notes.box_keys import Enrolled
from tests.kit.contracts import problems as against_schema
from tests.kit.contracts import vectors
from tests.kit.published import PASSPHRASE, shared_keys
from tests.simulators.box import Box, drive, make
from tests.simulators.firmware import OWNER, SignedVariables
from tests.simulators.signed_box import NOW, PROGRAM, Site, fingerprint
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_box_gets_the_new_certificate_and_drops_the_old_one_when_it_can_do_without(site: Site) -> None:
    old = fingerprint(site.keys / "db.crt")
    renewal.rotate(site.keys, "db", NOW)
    new = fingerprint(site.keys / "db.crt")
    assert site.told() == [], "it is on its way"
    keyring = site.boot()
    keyring.settle()
    assert site.lists() == {old, new} and keyring.problem == keyring.waits == "" and site.told() == []
    keyring.settle()
    assert site.variables.writes == 1, "flash wears"
    renewal.retire(site.keys, "db", NOW - timedelta(days=1))  # by a clock that was put back
    keyring = site.boot()
    keyring.settle()
    assert site.lists() == {old, new} and keyring.problem == ""
    assert keyring.waits == "db keeps its old certificate: BOOTX64.EFI is signed by no other, or not first" in site.log
    for index, path in enumerate(site.programs):  # one after the other, as releases bring them
        path.write_bytes(Signer.open(site.keys).sign_boot(PROGRAM))
        keyring = site.boot()
        keyring.settle()
        assert (site.lists() == {new}) == (index == 2) and site.starts()
    assert site.told() == [] and site.variables.writes == 2
    only_old = site.folder / "old.efi"
    only_old.write_bytes(signed_by_the_old(site))
    assert site.boot().refuses(only_old) and not site.boot().refuses(site.programs[0])
    for path in renewal.olds(site.keys, "db"):
        path.unlink()
    assert site.told() == [], "and the controller may forget it"


def signed_by_the_old(site: Site) -> bytes:
    return secureboot.sign(PROGRAM, site.keys / "db.old.key", site.keys / "db.old.crt")


def test_whatever_is_cut_there_is_a_way_to_start_and_the_next_boot_goes_on(site: Site) -> None:
    class Cut(BaseException):
        pass

    def cut() -> None:
        raise Cut

    renewal.rotate(site.keys, "KEK", NOW)
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "KEK", NOW)
    renewal.retire(site.keys, "db", NOW)
    site.install()
    for expected in range(1, 5):
        for place in ("before", "after"):
            setattr(site.variables, place, cut)
            with pytest.raises(Cut):
                site.boot().settle()
            setattr(site.variables, place, lambda: None)
            assert site.starts() and site.told() == [], (expected, place)
    site.boot().settle()
    assert site.variables.writes == 8
    for name in renewal.SIGNERS:
        assert site.lists(name) == {fingerprint(site.keys / f"{name}.crt")}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EINVAL])
def test_a_firmware_that_refuses_is_told_and_left_alone_for_an_hour(
    site: Site, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(number, "no")

    before = site.lists()
    renewal.rotate(site.keys, "db", NOW)
    site.variables.before = refuse
    keyring = site.boot()
    for _ in range(3):
        keyring.settle()
    assert keyring.problem == f"the firmware does not take the update of db: [Errno {number}] no"
    assert site.variables.writes == 1 and site.lists() == before and site.starts()
    site.variables.before = lambda: None
    monkeypatch.setattr("toweros_agent.firmware.keyring.time.monotonic", lambda: keyring._next + 1)
    keyring.settle()
    assert keyring.problem == "" and len(site.lists()) == 2


def test_a_firmware_that_says_yes_and_does_nothing_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    renewal.rotate(site.keys, "db", NOW)
    monkeypatch.setattr(SignedVariables, "_take", lambda *_: None)
    keyring = site.boot()
    keyring.settle()
    assert keyring.problem == "the firmware took the update of db, and does not show it"


def test_a_certificate_that_is_not_ours_is_never_dropped(site: Site, tmp_path: Path) -> None:
    """Of a maker of network cards, for example, whose own program the firmware starts."""
    keys.init(tmp_path / "others", PASSPHRASE)
    mine, other = (
        load_pem_x509_certificate((folder / "db.crt").read_bytes()) for folder in (site.keys, tmp_path / "others")
    )
    site.variables.put("db", signature_list([mine, other], OWNER))
    assert site.told() == ["the firmware's db is not what was enrolled"]
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "db", NOW)
    site.install()
    keyring = site.boot()
    keyring.settle()
    assert len(site.lists()) == 3 and "in it is not ours" in keyring.problem


def test_a_box_that_was_away_for_two_rotations_takes_what_its_own_key_signs_along(site: Site) -> None:
    first = fingerprint(site.keys / "db.crt")
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "db", NOW)
    with pytest.raises(SignError, match="boxes may still trust the db before"):
        renewal.rotate(site.keys, "db", NOW)
    backup = {path.name: path.read_bytes() for path in site.keys.glob("db.old.*")}
    for name in backup:
        (site.keys / name).unlink()
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "db", NOW)
    offered = site.folder / "offered.efi"
    offered.write_bytes(Signer.open(site.keys).sign_boot(PROGRAM))
    assert site.boot().refuses(offered) and site.starts(), "it stays as it was, and says why"
    for name, data in backup.items():  # docs/keys.md: the oldest pair out of the backup
        (site.keys / name.replace("old", "old-1")).write_bytes(data)
    renewal.retire(site.keys, "db", NOW)
    site.install()
    assert site.starts() and site.told() == []
    keyring = site.boot()
    keyring.settle()
    assert site.lists() == {fingerprint(site.keys / "db.crt")} != {first} and keyring.problem == "" and site.starts()


def test_updates_of_another_fleet_or_of_yesterday_are_refused_by_the_firmware(site: Site, tmp_path: Path) -> None:
    keys.init(tmp_path / "others", PASSPHRASE)
    renewal.rotate(tmp_path / "others", "db", NOW)
    before = site.lists()
    shutil.copy(tmp_path / "others" / keys.FIRMWARE, site.etc)
    keyring = Keyring(site.etc, site.esp, site.variables, site.log.append)
    keyring.settle()
    assert "Permission denied" in keyring.problem and site.lists() == before
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "db", NOW)
    site.install()
    site.variables.times["db"] = (2046, 1, 1)
    keyring = site.boot()
    keyring.settle()
    assert "Permission denied" in keyring.problem and len(site.lists()) == 2 and site.starts(), (
        "it was enrolled in 2046"
    )


def test_where_nothing_is_checked_nothing_is_written(site: Site) -> None:
    renewal.rotate(site.keys, "db", NOW)
    for flag, value in (("SecureBoot", 0), ("SetupMode", 1)):
        before = site.variables.get(flag)
        site.variables.set(flag, bytes([value]))
        site.boot().settle()
        assert before is not None
        site.variables.set(flag, before)
    assert site.variables.writes == 0


def test_a_rotation_that_is_stopped_anywhere_ends_with_a_pair_that_belongs_together(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, write, count, limit = fingerprint(site.keys / "db.crt"), keys.write, [0], [0]

    def stopped(path: Path, data: bytes, mode: int = 0o600) -> None:
        count[0] += 1
        if count[0] > limit[0]:
            raise KeyboardInterrupt
        write(path, data, mode)

    monkeypatch.setattr(keys, "write", stopped)
    for limit[0] in range(9):
        count[0] = 0
        try:
            renewal.rotate(site.keys, "db", NOW)
            break
        except KeyboardInterrupt:
            with_new = (site.keys / "db.new.crt").exists()
        try:
            signed = Signer.open(site.keys).sign_boot(PROGRAM)
        except SignError as error:
            assert with_new and "stopped midway" in error.message
        else:
            assert not with_new and signed
    else:
        pytest.fail("it never ends")
    monkeypatch.undo()
    assert [fingerprint(path) for path in renewal.olds(site.keys, "db")] == [old]
    assert not [*site.keys.glob("*.new.*")]
    site.install()
    site.boot().settle()
    assert site.lists() == {old, fingerprint(site.keys / "db.crt")} and site.starts()


def test_what_has_no_offline_key_here_is_refused_before_anything_is_made(site: Site) -> None:
    (site.keys / "KEK.key").rename(site.folder / "KEK.key")
    before = sorted(path.name for path in site.keys.iterdir())
    with pytest.raises(SignError, match="KEK has to sign the change of db, and its private key is not here"):
        renewal.rotate(site.keys, "db", NOW)
    assert sorted(path.name for path in site.keys.iterdir()) == before


@pytest.mark.parametrize("vector", vectors("firmware", "good", "before", "ahead", "damaged"))
def test_the_document_is_read_across_versions_and_refused_by_name(vector: Path) -> None:
    if vector.parent.name == "damaged" or vector.stem.startswith("format-2"):
        with pytest.raises(Refused, match=r"firmware\.json"):
            parse(vector.read_bytes())
    else:
        assert [change.variable for change in parse(vector.read_bytes())] == ["KEK", "db", "db"]


def test_a_kek_that_cannot_be_dropped_or_not_even_added_keeps_no_db_from_following(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.init(tmp_path / "others", PASSPHRASE)
    certificates = [
        load_pem_x509_certificate((folder / "KEK.crt").read_bytes()) for folder in (site.keys, tmp_path / "others")
    ]
    renewal.rotate(site.keys, "db", NOW)
    renewal.rotate(site.keys, "KEK", NOW)
    renewal.retire(site.keys, "KEK", NOW)
    keyring, take = site.boot(), SignedVariables._take

    def no_kek(self: SignedVariables, name: str, *rest: Any) -> None:
        if name == "KEK":
            raise OSError(errno.EACCES, "Permission denied")
        take(self, name, *rest)

    monkeypatch.setattr(SignedVariables, "_take", no_kek)
    keyring.settle()
    assert len(keyring.present("db")) == 2, "the old KEK has signed that"
    assert keyring.problem == "the firmware does not take the update of KEK: [Errno 13] Permission denied"
    monkeypatch.undo()
    renewal.retire(site.keys, "db", NOW)
    site.install()
    site.variables.put("KEK", signature_list(certificates, OWNER))
    keyring = site.boot()
    keyring.settle()
    assert keyring.present("db") == {fingerprint(site.keys / "db.crt")} and len(keyring.present("KEK")) == 3
    assert keyring.problem.startswith("KEK keeps its old certificate, as ")
    for path in site.keys.glob("KEK.old.*"):
        path.unlink()
    renewal.retire(site.keys, "db", NOW)
    assert len(renewal._rows(site.keys)) == 4, "nobody waits for what the old KEK signed"


def test_an_old_pair_that_was_moved_away_too_early_is_dropped_all_the_same(site: Site) -> None:
    old = fingerprint(site.keys / "db.crt")
    renewal.rotate(site.keys, "db", NOW)
    site.install()
    site.boot().settle()
    for path in site.keys.glob("db.old.*"):
        path.unlink()
    assert site.told() == [] and old in renewal.wanted(site.keys, "db")
    renewal.retire(site.keys, "db", NOW)
    site.install()
    site.boot().settle()
    assert site.lists() == {fingerprint(site.keys / "db.crt")} and site.told() == []
    renewal.rotate(site.keys, "db", NOW)
    renewal.retire(site.keys, "db", NOW)
    assert old in renewal._rows(site.keys)[-1].drops, "a box that was away is rid of it too"


def test_what_is_written_is_what_its_contract_says(site: Site) -> None:
    for name in renewal.SIGNERS:
        renewal.rotate(site.keys, name, NOW)
    renewal.retire(site.keys, "db", NOW)
    document = json.loads((site.keys / keys.FIRMWARE).read_bytes())
    assert against_schema("firmware", document) == []
    assert [(row["variable"], bool(row["drops"])) for row in document["updates"]] == [
        ("KEK", False), ("db", False), ("db", True),
    ]  # fmt: skip
    assert keys.FIRMWARE in keys.public_halves(site.keys)


def test_a_whole_box_gets_a_boot_loader_that_starts_later_too_and_its_report_says_how_far_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    shutil.copytree(shared_keys(), folder)
    program = b"MZ signed kernel 1".ljust(60, b"\0") + PROGRAM[60:]
    with UpdateServer("demo-1") as server:
        first = Signer.open(folder).sign_boot(program)
        made = make(7, uki=first)
        box = Box(tmp_path / "box", server.url, server.root)
        box.install(made)
        loader, addon = (box.esp / "EFI" / "BOOT" / "BOOTX64.EFI"), box.linux / "toweros-7.efi.extra.d"
        loader.write_bytes(first)
        variables = SignedVariables(box.places.efivars)
        variables.enrol(folder)
        renewal.rotate(folder, "db", NOW)
        renewal.retire(folder, "db", NOW)
        shutil.copy(folder / keys.FIRMWARE, box.places.etc)
        both = Signer.open(folder).sign_boot(program)
        server.publish(made.document, first, made.addon, loader=both)
        agent = box.power_on()
        assert agent
        keyring = agent.upkeep.keyring
        keyring.variables = variables
        drive(agent, State.IDLE)
        agent.step()
        assert loader.read_bytes() == both, "the firmware lists the new certificate, and then this comes"
        agent.step()
        assert len(keyring.present("db")) == 2 and keyring.waits.startswith("db keeps its old certificate: ")
        (box.linux / "toweros-7.efi").write_bytes(both)
        (addon / "release.addon.efi").write_bytes(both)
        memory, digest = agent.history.memory, sha256(both).hexdigest()  # as a release of today would be staged
        memory.staged[7] = replace(memory.staged[7], uki=digest, addon=digest)
        keyring._next = 0.0
        agent.step()
        store = Store.open(tmp_path / "store", migrate=True)
        remember(store, folder)
        said, known = box.report(server), store.notes.get(Enrolled)
        assert known and said["health"] == "Healthy", said["degraded"]
        assert problems(known.rows, said["firmware"]) == [] and behind(store, "db", 0) == {}  # type: ignore[arg-type]
        assert keyring.present("db") == {fingerprint(folder / "db.crt")}


def test_a_fault_of_ours_in_a_chore_is_told_and_keeps_no_box_from_its_next_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("generator raised StopIteration")

    with UpdateServer("demo-1") as server:
        box, made = Box(tmp_path / "box", server.url, server.root), make(7)
        box.install(made)
        server.publish(made.document, made.uki, made.addon)
        agent = box.power_on()
        assert agent
        monkeypatch.setattr(agent.upkeep.keyring, "settle", broken)
        drive(agent, State.IDLE)
        agent.step()
        assert agent.error == "" and agent.stretch == 0, "it asked"
        words = "cannot renew the firmware's certificates: unexpected RuntimeError: generator raised StopIteration"
        assert words in box.report(server)["degraded"]  # type: ignore[operator]


def test_another_version_of_systemd_boot_never_comes_past_a_trial(site: Site) -> None:
    renewal.rotate(site.keys, "db", NOW)
    keyring, own, offered = site.boot(), site.programs[0], site.folder / "loader.efi"
    keyring.settle()
    before, follows = own.read_bytes(), BootLoader(keyring, site.folder / "loader.json", "", "this boot")
    offered.write_bytes(Signer.open(site.keys).sign_boot(PROGRAM[:1024] + bytes([PROGRAM[1024] ^ 1]) + PROGRAM[1025:]))
    assert follows.due()
    with pytest.raises(Refused, match="another program than the release names"):
        follows.bring(offered)
    assert own.read_bytes() == before
    offered.write_bytes(Signer.open(site.keys).sign_boot(PROGRAM))
    follows.bring(offered)
    assert own.read_bytes() == offered.read_bytes() != before
