"""What counts as a signature of a program: that of our signer, whole; all else is none, and nothing of it throws."""

import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from toweros_agent.firmware import authenticode
from toweros_agent.firmware.authenticode import MESSAGE_DIGEST, SEQUENCE, SET, program, signed_by

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


# --- the table of signatures ---

SIZES = 64 + authenticode.FILE_HEADER + authenticode.TABLE
"""Where the small program of these tests says where its table is, and how large."""


def entry(document: bytes, *, kind: int = 2, more: int = 0, padding: bool = True) -> bytes:
    """A WIN_CERTIFICATE; it says that it is `more` bytes longer."""
    data = struct.pack("<IHH", 8 + len(document) + more, 0x200, kind) + document
    return data + bytes(-len(data) % 8) * padding


def document(signed: bytes) -> bytes:
    place, _ = struct.unpack_from("<II", signed, SIZES)
    (length,) = struct.unpack_from("<I", signed, place)
    return signed[place + 8 : place + length]


def with_table(signed: bytes, table: bytes) -> bytes:
    """The same program with other signatures."""
    place, _ = struct.unpack_from("<II", signed, SIZES)
    return signed[:SIZES] + struct.pack("<II", place, len(table)) + signed[SIZES + 8 : place] + table


TABLES: dict[str, tuple[Callable[[bytes], bytes], bool, bool]] = {
    "as it was signed": (entry, True, True),
    "to its last byte": (lambda said: entry(said, padding=False), True, True),
    "after one of another kind": (lambda said: entry(b"x" * 5, kind=1) + entry(said), True, True),
    "after noise": (lambda said: entry(b"noise") + entry(said), True, False),
    "after one byte": (lambda said: entry(b"x") + entry(said), True, False),
    "after another's": (lambda said: entry(said[:-40] + bytes(40)) + entry(said), True, False),
    "of another kind": (lambda said: entry(said, kind=1), False, False),
    "after an empty one, which ends the table": (lambda said: entry(b"") + entry(said), False, False),
    "longer than the table": (lambda said: entry(said, more=8), False, False),
    "noise": (lambda said: entry(b"noise" * 99), False, False),
    "nothing": (lambda said: bytes(8), False, False),
}
"""A table of signatures, whether it counts, and whether it does where the first one alone is looked at."""


@pytest.mark.parametrize("what", TABLES)
def test_signatures_are_found_as_the_firmware_finds_them(site: Site, what: str) -> None:
    """(EDK II, SecurityPkg, DxeImageVerificationHandler: the walk over the table.)"""
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    make, *counts = TABLES[what]
    path.write_bytes(with_table(path.read_bytes(), make(document(path.read_bytes()))))
    assert [signed_by(path, [ours]), signed_by(path, [ours], first=True)] == counts


# --- one signature ---

Node = tuple[int, Any]
"""A DER value: its tag, and its members, or its bytes."""


def tree(data: bytes) -> list[Node]:
    found, at = list[Node](), 0
    while at < len(data):
        tag, count = data[at], data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
        start = at + 2 + count
        length = int.from_bytes(data[at + 2 : start], "big") if count else data[at + 1]
        at = start + length
        found.append((tag, tree(data[start:at]) if tag & 0x20 else data[start:at]))
    return found


def value(tag: int, content: bytes, form: int | None = None, more: int = 0) -> bytes:
    """`form`: in how many bytes its length is written, if that is not the least; `more`: it claims more bytes."""
    length = len(content) + more
    if form is None:
        form = 0 if length < 0x80 else (length.bit_length() + 7) // 8
    head = bytes([0x80 | form]) + length.to_bytes(form, "big") if form or length >= 0x80 else bytes([length])
    return bytes([tag]) + head + content


def flat(node: Node, more: int = 0) -> bytes:
    """`more`: it claims more bytes, as do all that it is the last member of."""
    tag, content = node
    if isinstance(content, bytes):
        return value(tag, content, more=more)
    return value(tag, b"".join(flat(each, more if each is content[-1] else 0) for each in content), more=more)


def changed(signed: bytes, change: Callable[[list[Node]], list[Node]], more: int = 0) -> bytes:
    """With the signature's list of signers as `change` makes it of the one that is there."""
    (kind, (wrapping, ((_, parts),))) = tree(document(signed))[0][1]
    (_, signers) = parts[-1]
    parts = [*parts[:-1], (SET, change(signers))]
    made = (SEQUENCE, [kind, (wrapping, [(SEQUENCE, parts)])])
    return with_table(signed, entry(flat(made, more), padding=not more))


def signer(members: list[Node]) -> list[Node]:
    return [(SEQUENCE, members)]


def members_of(signers: list[Node]) -> list[Node]:
    return list(signers[0][1])


def attributes(signers: list[Node], change: Callable[[list[Node]], list[Node]]) -> list[Node]:
    members = members_of(signers)
    return signer(
        [(tag, change(content)) if tag == authenticode.CONTEXT else (tag, content) for tag, content in members]
    )


def digest_of(row: Node) -> bool:
    return flat(row[1][0]) == MESSAGE_DIGEST


SIGNERS: dict[str, tuple[Callable[[list[Node]], list[Node]], bool]] = {
    "as it was signed": (lambda signers: signers, True),
    "another signer before": (
        lambda signers: [*signer([*members_of(signers)[:-1], (4, bytes(256))]), *signers],
        True,
    ),
    "nobody": (lambda signers: [], False),
    "no attributes": (
        lambda signers: signer([each for each in members_of(signers) if each[0] != authenticode.CONTEXT]),
        False,
    ),
    "no signature": (lambda signers: signer(members_of(signers)[:-1]), False),
    "no digest": (lambda signers: attributes(signers, lambda rows: [r for r in rows if not digest_of(r)]), False),
    "two digests": (lambda signers: attributes(signers, lambda rows: rows + [r for r in rows if digest_of(r)]), False),
}


@pytest.mark.parametrize("what", SIGNERS)
def test_a_signature_counts_when_a_signer_of_it_signed_just_that(site: Site, what: str) -> None:
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    change, counts = SIGNERS[what]
    path.write_bytes(changed(path.read_bytes(), change))
    assert signed_by(path, [ours]) is counts


def test_a_signature_that_claims_more_bytes_than_there_are_is_none(site: Site) -> None:
    """All of it is there, so only its lengths are wrong; whoever reads on reads what is not of it."""
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    path.write_bytes(changed(path.read_bytes(), lambda signers: signers, more=1))
    assert not signed_by(path, [ours])


@pytest.mark.parametrize(("form", "counts"), [(2, True), (4, True), (5, False)])
def test_a_length_of_more_than_four_bytes_is_none(site: Site, form: int, counts: bool) -> None:
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    signed = path.read_bytes()
    content = b"".join(flat(each) for each in tree(document(signed))[0][1])
    path.write_bytes(with_table(signed, entry(value(SEQUENCE, content, form))))
    assert signed_by(path, [ours]) is counts


# --- the program ---


def test_what_is_signed_is_the_same_whoever_signed_it_and_nothing_where_there_is_no_whole_program(site: Site) -> None:
    path = site.programs[0]
    signed = path.read_bytes()
    digest = program(path)
    assert len(digest) == 32
    path.write_bytes(with_table(signed, entry(b"another's signature")))
    assert program(path) == digest
    path.write_bytes(signed[:1030] + b"?" + signed[1031:])
    assert program(path) not in (digest, b"")
    optional = 64 + authenticode.FILE_HEADER
    pe32 = signed[:optional] + struct.pack("<H", 0x10B) + signed[optional + 2 :]
    over_itself = signed[:SIZES] + struct.pack("<II", SIZES, len(signed) - SIZES) + signed[SIZES + 8 :]
    for odd in (b"", b"MZ", PROGRAM, b"ZM" + signed[2:], pe32, over_itself, signed[:-8], signed + bytes(8)):
        path.write_bytes(odd)
        assert program(path) == b""


@pytest.mark.parametrize(("room", "counts"), [(0, True), (-1, False)])
def test_a_table_of_signatures_has_a_largest_size(
    site: Site, room: int, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ours = site.programs[0], der((site.keys / "db.crt").read_bytes())
    _, size = struct.unpack_from("<II", path.read_bytes(), SIZES)
    monkeypatch.setattr(authenticode, "MAX_SIGNATURES", size + room)
    assert signed_by(path, [ours]) is counts


def test_a_sector_that_cannot_be_read_is_an_error_and_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a mapping it would be SIGBUS, at each start of the agent, for ever."""

    def bad(handle: int, size: int, place: int) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / "program.efi"
    path.write_bytes(b"MZ" + bytes(4096))
    monkeypatch.setattr(authenticode.os, "pread", bad)
    for ask in (authenticode.program, lambda path: authenticode.signed_by(path, [])):
        with pytest.raises(OSError, match="Input/output error"):
            ask(path)


def test_no_file_of_a_box_is_mapped() -> None:
    package = Path(authenticode.__file__).parents[1]
    assert [path.name for path in package.rglob("*.py") if re.search(r"\bmmap\b", path.read_text())] == []
