"""Keys are made once, kept closed, and never shown; Secure Boot signatures hold and are remembered."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tuf.api.metadata import Metadata, Root
from typer.testing import CliRunner

from gitops.assemble.boot.pe import signed_digest
from gitops.cli.main import application
from gitops.errors import AssembleError, SignError
from gitops.sign import Signer, envelope, keys
from gitops.sign import box as box_keys
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.pe import a_pe_file
from tests.kit.published import PASSPHRASE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.init(tmp_path / "keys", PASSPHRASE, root_keys=2, threshold=2, public=tmp_path / "public")
    return tmp_path / "keys"


def test_private_files_are_closed_and_root_is_locked(folder: Path) -> None:
    private = [*folder.glob("*.pem"), *folder.glob("*.key"), *folder.glob("root/*.pem")]
    assert len(private) == 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    for path in folder.glob("root/*.pem"):
        with pytest.raises(TypeError):
            load_pem_private_key(path.read_bytes(), None)
    root = Metadata[Root].from_bytes((folder / "root.json").read_bytes())
    assert root.signed.roles["root"].threshold == 2
    root.signed.verify_delegate("root", root.signed_bytes, root.signatures)


def test_the_public_folder_holds_no_secret(folder: Path, tmp_path: Path) -> None:
    files = sorted(path.name for path in (tmp_path / "public").iterdir())
    assert files == ["KEK.crt", "PK.crt", "builder.json", "db.crt", "root.json"]
    assert all(b"PRIVATE" not in path.read_bytes() for path in (tmp_path / "public").iterdir())


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / "targets.pem").read_bytes()
    with pytest.raises(SignError, match="never overwritten"):
        keys.init(folder, PASSPHRASE)
    assert (folder / "targets.pem").read_bytes() == before


def test_an_open_key_file_is_refused(folder: Path) -> None:
    (folder / "snapshot.pem").chmod(0o644)
    with pytest.raises(SignError, match="open to others"):
        Signer.open(folder)


@pytest.mark.parametrize("data", ["", "no json", "{}", "[]", '{"signed": {"_type": "root"}}', "another version"])
def test_a_damaged_root_is_named_with_the_way_to_have_it_again(folder: Path, data: str) -> None:
    place = folder / "1.root.json"
    place.write_text(place.read_text().replace('"version":1', '"version":2') if data == "another version" else data)
    for verb in ("status", "renew"):
        error = toweros("keys", verb, folder).exception
        assert isinstance(error, SignError) and f"{place} is damaged" in error.message and "backup" in error.hint, verb


def test_status_warns_before_the_end_and_knows_what_is_offline(folder: Path) -> None:
    now = datetime.now(UTC)
    assert keys.warnings(keys.status(folder, now)) == []
    assert keys.warnings(keys.status(folder, now + timedelta(days=700))) == ["root.json v1 ends soon"]
    assert keys.warnings(keys.status(folder, now + timedelta(days=800))) == ["root.json v1 has ended"]
    for path in (*folder.glob("root/*.pem"), folder / "PK.key"):
        path.unlink()
    states = {row.name: row.state for row in keys.status(folder, now)}
    assert (states["root"], states["PK.key"], states["db.key"]) == ("offline", "offline", "ok")
    (folder / "targets.pem").unlink()
    assert keys.warnings(keys.status(folder, now)) == ["targets is missing"]


def test_the_verbs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "pass").write_text("for tests only\n")
    run, app = CliRunner(), application()
    request.addfinalizer(structlog.reset_defaults)
    made = run.invoke(app, ["keys", "init", str(tmp_path / "k"), "--passphrase-file", str(tmp_path / "pass")])
    assert made.exit_code == 0 and "for tests only" not in made.output
    status = run.invoke(app, ["keys", "status", str(tmp_path / "k"), "-o", "json"])
    rows = json.loads(status.stdout)
    assert {row["state"] for row in rows} == {"ok"} and "security" in {row["name"] for row in rows}
    words = ["keys", "rotate", "timestamp", str(tmp_path / "k"), "--passphrase-file", str(tmp_path / "pass")]
    assert run.invoke(app, words).exit_code == 0
    assert sorted(Signer.open(tmp_path / "k")._roots) == [1, 2]


def test_secure_boot_signatures_hold_and_are_remembered(folder: Path, tmp_path: Path) -> None:
    stub = a_pe_file()
    signer = Signer.open(folder, Store.open(tmp_path / "state"))
    signed = signer.sign_boot(stub)
    assert signed != stub and signer.verify_boot(signed) and not signer.verify_boot(stub)
    assert Signer.open(folder, Store.open(tmp_path / "state")).sign_boot(stub) == signed
    again = Signer.open(folder).sign_boot(stub)
    assert signed_digest(signed) == signed_digest(again) == signed_digest(stub), "whenever it was signed"
    altered = bytearray(signed)
    altered[0x210] ^= 1
    assert signed_digest(bytes(altered)) != signed_digest(signed)
    with pytest.raises(AssembleError):
        signed_digest(signed[:-8])
    assert not signer.verify_boot(bytes(altered))
    keys.init(tmp_path / "foreign", PASSPHRASE)
    assert not Signer.open(tmp_path / "foreign").verify_boot(signed)
    with pytest.raises(SignError, match="cannot sign"):
        signer.sign_boot(b"no program")


def test_a_file_of_any_length_has_the_same_digest_signed_and_unsigned(folder: Path) -> None:
    """The signer fills it up to a multiple of eight bytes before it appends."""
    odd = a_pe_file() + b"odd"
    assert signed_digest(Signer.open(folder).sign_boot(odd)) == signed_digest(odd)


def test_a_new_builders_key_replaces_the_old_one_which_signs_along(folder: Path) -> None:
    first = Signer.open(folder)
    keys.rotate_builder(folder)
    second = Signer.open(folder)
    assert first.builders and second.builders and first.builders.fleet == second.builders.fleet
    sealed = second.attest(b"{}")
    assert envelope.unseal(sealed, first.builders.keys) == envelope.unseal(sealed, second.builders.keys) == b"{}"
    with pytest.raises(SignError, match="no builder that we believe"):
        envelope.unseal(first.attest(b"{}"), second.builders.keys)
    assert second.attested(first.attest(b"{}")) == (b"{}", False) and second.attested(sealed) == (b"{}", True)
    assert first.attested(b"no envelope") is None


def test_a_second_rotation_does_not_take_away_the_key_that_all_boxes_believe(folder: Path) -> None:
    """Or no box takes a release again: each believes the first key until it runs a release that names another."""
    believed = Signer.open(folder).builders
    keys.rotate_builder(folder)
    before = {path.name: path.read_bytes() for path in folder.glob("builder*")}
    with pytest.raises(SignError) as refused:
        keys.rotate_builder(folder)
    assert "once every box has taken two releases with the new keys/builder.json" in refused.value.hint
    assert "keep it in the backup" in refused.value.hint, "a box may still go back to a release that knows no other"
    assert toweros("keys", "rotate", "builder", str(folder)).exit_code != 0
    assert {path.name: path.read_bytes() for path in folder.glob("builder*")} == before
    assert believed and envelope.unseal(Signer.open(folder).attest(b"{}"), believed.keys) == b"{}"
    (folder / "builder.old.pem").unlink()
    keys.rotate_builder(folder)
    assert (folder / "builder.old.pem").read_bytes() == before["builder.pem"] != (folder / "builder.pem").read_bytes()


def test_a_rotation_that_was_stopped_before_the_new_key_is_completed(folder: Path) -> None:
    (folder / "builder.old.pem").write_bytes((folder / "builder.pem").read_bytes())
    (folder / "builder.old.pem").chmod(0o600)
    keys.rotate_builder(folder)
    assert (folder / "builder.old.pem").read_bytes() != (folder / "builder.pem").read_bytes()
    assert (folder / "builder.json").read_bytes() == keys.builders(folder, keys.load_builders(folder)).encode()  # type: ignore[union-attr]


def test_a_folder_of_an_older_version_gets_its_first_builders_key(folder: Path, tmp_path: Path) -> None:
    for name in ("builder.pem", "builder.json"):
        (folder / name).unlink()
    assert Signer.open(folder).builders is None and "builder.json" not in keys.public_halves(folder)
    keys.export(folder, tmp_path / "older")
    words = ["keys", "rotate", "builder", str(folder), "--public", str(tmp_path / "public")]
    assert toweros(*words).exit_code == 0
    assert Signer.open(folder).builders and not (folder / "builder.old.pem").exists()
    assert (tmp_path / "public" / "builder.json").read_bytes() == (folder / "builder.json").read_bytes()


def test_a_box_key_proves_its_own_reports_only() -> None:
    private, public = box_keys.make()
    key = load_pem_private_key(private, None)
    signature = key.sign(b"report").hex()  # type: ignore[union-attr,call-arg]
    assert box_keys.proves(public, b"report", signature)
    assert not box_keys.proves(public, b"report!", signature)
    assert not box_keys.proves(box_keys.make()[1], b"report", signature)
    assert not box_keys.proves(public, b"report", "no hex")
    assert box_keys.public_key(private) == box_keys.public_key(public.encode()) == public
