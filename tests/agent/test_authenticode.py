"""What counts as a signature of a program: that of our signer, whole; all else is none, and nothing of it throws."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from toweros_agent.firmware import authenticode
from toweros_agent.firmware.authenticode import signed_by

from gitops.sign.enrolled import der
from gitops.sign.firmware import renewal
from tests.simulators.signed_box import NOW, PROGRAM, Site, fingerprint


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def without_attributes(data: bytes) -> bytes:
    """The signed attributes under a tag that is not theirs."""
    at = data.rindex(authenticode.MESSAGE_DIGEST)
    start = data.rindex(b"\xa0", 0, at)
    return data[:start] + b"\xa1" + data[start + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a byte of the program": lambda data: data[:1030] + bytes([data[1030] ^ 1]) + data[1031:],
    "the signature": lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
    "cut short": lambda data: data[:-8],
    "more at the end": lambda data: data + bytes(8),
    "empty": lambda data: b"",
    "no signature": lambda data: PROGRAM,
    "no signed attributes": without_attributes,
    "noise": lambda data: bytes(range(256)) * 8,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_program_that_is_not_as_it_was_signed_is_signed_by_nobody(site: Site, what: str) -> None:
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    assert signed_by(path, [ours]) and not signed_by(path, [der((site.keys / "KEK.crt").read_bytes())])
    path.write_bytes(DAMAGE[what](path.read_bytes()))
    assert not signed_by(path, [ours])


def odd_certificates() -> dict[str, bytes]:
    """As makers of hardware have them in db: of a curve, and of a version, that `cryptography` does not load."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    begin, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2040))
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(end)
    data = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    sm2 = data.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d"))
    version = data.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"))
    assert data not in (sm2, version)
    return {"SM2": sm2, "version 6": version, "no certificate": b"h" * 32}


@pytest.mark.parametrize("kind", odd_certificates())
def test_an_odd_certificate_in_db_signs_nothing_and_takes_nothing_from_ours(site: Site, kind: str) -> None:
    odd, ours = odd_certificates()[kind], der((site.keys / "db.crt").read_bytes())
    assert not signed_by(site.programs[0], [odd])
    assert signed_by(site.programs[0], [odd, ours])


def test_the_old_certificate_stays_while_a_program_has_its_signature_first(site: Site) -> None:
    """There is firmware that looks at the first signature only."""
    renewal.rotate(site.keys, "db", NOW)
    site.install()
    site.boot().settle()
    renewal.retire(site.keys, "db", NOW)
    keyring, new = site.boot(), der((site.keys / "db.crt").read_bytes())
    keyring.settle()
    assert len(site.lists()) == 2 and "BOOTX64.EFI is signed by no other, or not first" in keyring.waits
    assert not keyring.keeps(site.programs[0])
    site.install()
    assert all(signed_by(path, [new], first=True) for path in site.programs)
    site.boot().settle()
    assert site.lists() == {fingerprint(site.keys / "db.crt")}
