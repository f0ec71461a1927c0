"""One signature before its judge: real keys of ssh and OpenPGP, no repository, every refusal by its name."""

import base64
import hashlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.errors import ProcessError, SourceError
from gitops.fleet.keys.proof import KRL
from gitops.source import FolderTree
from gitops.source.trust import openpgp
from gitops.source.trust.objects import Signed
from gitops.source.trust.signatures import MAX_SIGNATURE, FirstKeys, Trust, names, signer
from tests.kit.people import People

WORDS = b"tree 1\nauthor ada\n\nwords\n"
YEAR_2020, YEAR_2021 = 1_577_900_000, 1_609_500_000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The same people for all of these stories: nothing here changes their keys."""
    made = People(tmp_path_factory.mktemp("p") / "people")
    yield made
    made.close()


def ssh(people: People, name: str, words: bytes = WORDS, *, namespace: str = "git", kind: str = "commit") -> Signed:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(people.key(name))]
    signature = subprocess.run(command, input=words, capture_output=True, check=True).stdout
    return Signed(kind, "1" * 40, b"", {"tag": "v1"}, signature, words)


def refused(signed: Signed, trust: Trust, at: int | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        signer(signed, trust, at)
    return caught.value


def trusting(people: People, *names: str, options: str = 'namespaces="git"', **more: object) -> Trust:
    return Trust(people.allowed(*names, options=options).encode(), **more)  # type: ignore[arg-type]


# --- SSH ---


def test_the_one_who_signed_is_named_among_all_that_may(crowd: People) -> None:
    for name in ("ada", "ben"):
        assert signer(ssh(crowd, name), trusting(crowd, "ada", "ben")) == name


def test_a_key_of_several_names_signs_by_the_first_of_them(crowd: People) -> None:
    line = f"ada@x,ada@y {crowd.public('ada')}\n".encode()
    assert signer(ssh(crowd, "ada"), Trust(line)) == "ada@x"
    assert names(ssh(crowd, "ada"), Trust(line)) == ("ada@x", "ada@y")


KINDS = {"rsa": ["-t", "rsa"], "ecdsa": ["-t", "ecdsa"], "p384": ["-t", "ecdsa", "-b", "384"]}
KINDS |= {"p521": ["-t", "ecdsa", "-b", "521"], "ed25519": ["-t", "ed25519"]}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_keys_of_every_kind_sign_by_themselves_and_by_certificate(tmp_path: Path, kind: list[str]) -> None:
    people = People(tmp_path / "people")
    for name in ("key", "ca"):
        subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-f", people.key(name)], check=True)
    signed = ssh(people, "key")
    assert signer(signed, trusting(people, "key")) == "key"
    assert refused(replace(signed, payload=WORDS + b"!"), trusting(people, "key")).reason == "BadSignature"
    listed = Trust(people.authority("*@example.org").encode())
    assert signer(ssh(people, people.certified("key", "ada@example.org")), listed) == "ada@example.org"


@pytest.mark.parametrize("how", ["junk", "revoked", "expired"])
def test_what_cannot_count_costs_no_program(crowd: People, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    signed, options = ssh(crowd, "ada"), 'namespaces="git"'
    signed = replace(signed, payload=b"other words") if how == "junk" else signed
    options = 'valid-before="20200101"' if how == "expired" else options
    revoked = f"{crowd.public('ada')} ada\n".encode() if how == "revoked" else b""
    monkeypatch.setattr("gitops.source.trust.ssh.keygen.run", None)
    names_ = {"junk": "BadSignature", "revoked": "RevokedKey", "expired": "ExpiredKey"}
    assert refused(signed, trusting(crowd, "ada", options=options, revoked=revoked)).reason == names_[how]


def claimed(blob: bytes, kind: bytes, proof: bytes) -> Signed:
    """What anybody can write about a key: that this is its signature."""
    parts = [blob, b"git", b"", b"sha512", packed(kind) + proof]
    body = base64.b64encode(b"SSHSIG\0\0\0\1" + b"".join(map(packed, parts)))
    text = b"\n".join(body[at : at + 70] for at in range(0, len(body), 70))
    armour = b"-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n" % text
    return Signed("tag", "1" * 40, b"", {"tag": "v1"}, armour, WORDS)


def packed(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


@pytest.mark.parametrize("kind", [b"ssh-rsa", b"ssh-foo", b"its own", b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com"])
@pytest.mark.parametrize("key", ["ed25519", "rsa", "ecdsa", "sk-ssh-ed25519@openssh.com"])
def test_a_claim_of_a_kind_that_its_key_cannot_make_costs_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, kind: bytes
) -> None:
    """Else 64 such approvals, by anybody who may push tags, take the places of those that count."""
    people = People(tmp_path / "people")
    words = people.public(people.key_of("key", "ed25519" if key.startswith("sk-") else key)).split()
    blob = base64.b64decode(words[1])
    if key.startswith("sk-"):
        words[0], blob = key, packed(key.encode()) + blob[15:] + packed(b"ssh:")
    monkeypatch.setattr("gitops.source.trust.ssh.keygen.run", None)
    trust = Trust(f"ada {words[0]} {base64.b64encode(blob).decode()}\n".encode())
    rest = packed(b"x" * 64) + (b"\1\0\0\0\1" if kind.startswith(b"webauthn") else b"")
    own = {"rsa": "rsa-sha2-512", "ecdsa": "ecdsa-sha2-nistp256"}.get(key, words[0]).encode()
    rest += b"\1\0\0\0\1" if (key[:3], kind) == ("sk-", b"its own") else b""
    signed = claimed(blob, own if kind == b"its own" else kind, rest)
    assert trust.knows(signed) and trust.doubts(signed)
    assert refused(signed, trust).reason == "BadSignature"


OVER = {"over": (("-V", "20200101:20210101"), "ExpiredKey"), "of a host": (("-h",), "HostCertificate")}


@pytest.mark.parametrize(("options", "why"), OVER.values(), ids=OVER)
def test_a_certificate_that_cannot_count_costs_no_program(
    crowd: People, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], why: str
) -> None:
    """Whoever had one once could else flood the approvals of those who have one."""
    signed = ssh(crowd, crowd.certified("eve", "eve@example.org", *options, by="ben"))
    trust = Trust(crowd.authority("*@example.org", by="ben").encode())
    monkeypatch.setattr("gitops.source.trust.ssh.keygen.run", None)
    assert trust.knows(signed) and trust.doubts(signed)
    assert refused(signed, trust).reason == why


@pytest.mark.parametrize("nobody", [b"", b"\n  \n", b"# ada ssh-ed25519 AAAA\n"])
def test_where_nobody_is_listed_nobody_signs(crowd: People, nobody: bytes) -> None:
    said = refused(ssh(crowd, "ada"), Trust(nobody))
    assert said.reason == "NobodyTrusted" and "`allowed_signers` in toweros.toml names nobody" in said.message


@pytest.mark.parametrize(("kind", "way"), [("commit", "git commit -S"), ("tag", "git tag -s")])
def test_what_is_unsigned_says_how_it_is_signed(crowd: People, kind: str, way: str) -> None:
    said = refused(Signed(kind, "1" * 40, b"", {"tag": "v1"}, b"", WORDS), trusting(crowd, "ada"))
    assert said.reason == "Unsigned" and f"`{way}`" in said.hint


def test_a_signature_of_another_kind_is_none(crowd: People) -> None:
    signed = replace(ssh(crowd, "ada"), signature=b"-----BEGIN SIGNED MESSAGE-----\n")
    said = refused(signed, trusting(crowd, "ada"))
    assert said.reason == "BadSignature" and "unknown kind" in said.message


@pytest.mark.parametrize("how", ["other words", "another purpose", "garbled"])
def test_a_listed_keys_signature_that_is_good_for_nothing_is_bad(crowd: People, how: str) -> None:
    good = ssh(crowd, "ada")
    *before, last, rest, end = good.signature.splitlines(keepends=True)
    signed = {
        "other words": replace(good, payload=WORDS + b"!"),
        "another purpose": ssh(crowd, "ada", namespace="file"),
        "garbled": replace(good, signature=b"".join([*before, b"A" * (len(last) - 1) + b"\n", rest, end])),
    }[how]
    assert refused(signed, trusting(crowd, "ada")).reason == "BadSignature"
    assert refused(signed, trusting(crowd, "ben")).reason == "UnknownKey", "nobody asks what strangers' are good for"


@pytest.mark.parametrize("text", [b"AAAA", b"A", b"!", b"", b"U1NIU0lH", b"U1NIU0lHAAAAAf////8="])
def test_a_signature_in_which_no_key_can_be_read_is_damaged(crowd: People, text: bytes) -> None:
    garbled = b"-----BEGIN SSH SIGNATURE-----\n" + text + b"\n-----END SSH SIGNATURE-----\n"
    for options in ('namespaces="git"', "cert-authority"):
        trust = trusting(crowd, "ada", options=options)
        assert refused(replace(ssh(crowd, "ada"), signature=garbled), trust).reason == "BadSignature"


END = b"-----END SSH SIGNATURE-----\n"


def body(signature: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A signature whose bytes were changed, in whole armour."""
    data = change(base64.b64decode(b"".join(signature.splitlines()[1:-1])))
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.encodebytes(data) + END


def flipped(place: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


# SSHSIG, a version; a key of 51 bytes at 14 with its type at 18 and its own bytes at 33; then `git` and the digest.
DAMAGED = {
    "cut off in its last line": lambda good: good[: good.rindex(b"=")],
    "cut off before its end": lambda good: good[: good.index(END)],
    "cut off in the middle": lambda good: good[:150],
    "a line is missing": lambda good: b"".join(good.splitlines(keepends=True)[:2]) + END,
    "its bytes are cut off": lambda good: body(good, lambda data: data[:-9]),
    "bytes follow": lambda good: body(good, lambda data: data + b"more"),
    "words follow": lambda good: good + b"more words\n",
    "another end": lambda good: good.replace(b"END SSH", b"END PGP"),
    "a flipped byte": lambda good: body(good, flipped(-5)),
    "another version": lambda good: body(good, flipped(9)),
    "another digest": lambda good: body(good, lambda data: data.replace(b"sha512", b"sha384")),
    "a digest of old": lambda good: body(good, lambda data: data.replace(b"\6sha512", b"\4sha1")),
    "a megabyte": lambda good: good.replace(END, b"A" * (1 << 20) + b"\n" + END),
    "another's armour": lambda good: good.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
}


@pytest.mark.parametrize("how", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_signature_of_a_listed_key_is_bad(crowd: People, how: Callable[[bytes], bytes]) -> None:
    signed = ssh(crowd, "ada")
    damaged = replace(signed, signature=how(signed.signature))
    for trust in (trusting(crowd, "ada"), trusting(crowd, "ada", openpgp=(("x", b" "),))):
        assert refused(damaged, trust).reason == "BadSignature"


def test_a_flipped_byte_of_the_key_makes_it_another_s(crowd: People) -> None:
    signed = ssh(crowd, "ada")
    damaged = replace(signed, signature=body(signed.signature, flipped(40)))
    assert refused(damaged, trusting(crowd, "ada")).reason == "UnknownKey"


@pytest.mark.parametrize("second", ["ada", "ben"])
def test_two_signatures_are_none(crowd: People, second: str) -> None:
    signed = ssh(crowd, "ada")
    both = replace(signed, signature=signed.signature + ssh(crowd, second).signature)
    assert refused(both, trusting(crowd, "ada", "ben")).reason == "SeveralSignatures"


# --- security keys ---


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def by_security_key(flags: int) -> tuple[Signed, bytes]:
    """As a FIDO key signs (OpenSSH's PROTOCOL.u2f), and its public half; made without one."""
    key, kind = Ed25519PrivateKey.generate(), b"sk-ssh-ed25519@openssh.com"
    public = text(kind) + text(key.public_key().public_bytes_raw()) + text(b"ssh:")
    words = b"SSHSIG" + text(b"git") + text(b"") + text(b"sha512") + text(hashlib.sha512(WORDS).digest())
    state = bytes([flags]) + (7).to_bytes(4)
    proof = key.sign(hashlib.sha256(b"ssh:").digest() + state + hashlib.sha256(words).digest())
    blob = b"SSHSIG\0\0\0\1" + text(public) + text(b"git") + text(b"") + text(b"sha512")
    blob += text(text(kind) + text(proof) + state)
    armour = b"-----BEGIN SSH SIGNATURE-----\n" + base64.encodebytes(blob) + END
    return Signed("commit", "1" * 40, b"", {}, armour, WORDS), kind + b" " + base64.b64encode(public)


@pytest.mark.parametrize(("flags", "why"), [(1, ""), (5, ""), (0, "nobody touched"), (4, "nobody touched")])
def test_a_security_key_counts_when_somebody_touched_it(flags: int, why: str) -> None:
    """sshd asks the same; `ssh-keygen -Y verify` does not."""
    signed, public = by_security_key(flags)
    trust = Trust(b"ada " + public + b"\n")
    if why:
        said = refused(signed, trust)
        assert said.reason == "BadSignature" and why in said.message
    else:
        assert signer(signed, trust) == "ada"


@pytest.mark.parametrize("options", ['namespaces="git"', 'namespaces="file"', 'valid-before="20200101"'])
def test_a_key_that_may_not_sign_here_is_named_by_why(crowd: People, options: str) -> None:
    """Ada's line, by its options; Eve has none."""
    trust = trusting(crowd, "ada", options=options)
    assert refused(ssh(crowd, "eve"), trust).reason == "UnknownKey"
    if "file" in options:
        assert refused(ssh(crowd, "ada"), trust).reason == "UnknownKey"


def test_a_revoked_key_counts_no_more_and_the_others_do(crowd: People) -> None:
    trust = trusting(crowd, "ada", "ben", revoked=f"{crowd.public('ada')}\n".encode())
    assert refused(ssh(crowd, "ada"), trust).reason == "RevokedKey"
    assert signer(ssh(crowd, "ben"), trust) == "ben"
    assert refused(ssh(crowd, "eve"), replace(trust, revoked=crowd.public("eve").encode())).reason == "UnknownKey"
    assert signer(ssh(crowd, "ada"), replace(trust, revoked=b" \n")) == "ada"
    both = trusting(crowd, "ada", options='valid-before="20200101"', revoked=trust.revoked)
    assert refused(ssh(crowd, "ada"), both).reason == "ExpiredKey"


@pytest.mark.parametrize(
    ("options", "at", "good"),
    [
        ('valid-before="20200701"', None, False),
        ('VALID-BEFORE="20200701"', None, False),
        ("valid-before=20200701", None, False),
        ('valid-before="20200701"', YEAR_2020, True),
        ('valid-before="20200701"', YEAR_2021, False),
        ('valid-after="20200701"', None, True),
        ('valid-after="20200701"', YEAR_2020, False),
        ('valid-after="20200701",valid-before="20210701"', YEAR_2021, True),
        ('valid-after="20900101"', None, False),
    ],
)
def test_a_key_is_good_at_a_time_and_of_another_it_is_said_that_it_was_or_will_be(
    crowd: People, options: str, at: int | None, good: bool
) -> None:
    trust = trusting(crowd, "ada", options=options, place="keys/")
    if good:
        assert signer(ssh(crowd, "ada"), trust, at) == "ada"
    else:
        said = refused(ssh(crowd, "ada"), trust, at)
        assert said.reason == "ExpiredKey" and "keys/ does not allow now" in said.message


def test_a_key_that_is_listed_again_for_longer_is_good(crowd: People) -> None:
    lines = crowd.allowed("ada", options='valid-before="20200101"') + crowd.allowed("ada").replace("ada", "ada2", 1)
    assert signer(ssh(crowd, "ada"), Trust(lines.encode())) == "ada2"


def test_a_program_that_is_killed_gave_no_verdict(
    crowd: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = ssh(crowd, "ada")
    for name in ("ssh-keygen", "gpg"):
        (tmp_path / name).write_text("#!/bin/sh\nkill -9 $$\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ProcessError):
        signer(signed, trusting(crowd, "ada"))
    with pytest.raises(ProcessError):
        openpgp.check("x", b"-----BEGIN PGP SIGNATURE-----", WORDS, [("ada", b"key")], None)


# --- whom we trust ---


def test_keys_of_a_repository_come_before_the_first_ones_and_what_it_revokes_is_revoked_there_too() -> None:
    first, own = Trust(b"ada k"), Trust(b"ben k", revoked=b"r")
    assert own.or_else(first) is own
    assert Trust(revoked=b"r").or_else(first) == replace(first, revoked=b"r")
    assert Trust(openpgp=(("ben", b""),)).or_else(first).openpgp, "an empty key file is a list of its own"
    both = replace(own, openpgp=(("x", b"1"),)).joined(replace(first, openpgp=(("y", b"2"),)))
    assert both.ssh.split(b"\n") == [b"ben k", b"ada k"] and both.openpgp == (("x", b"1"), ("y", b"2"))
    assert both.revoked == b"r"


@pytest.mark.parametrize(
    ("here", "there", "within"),
    [
        (b"", b"", True),
        (b"x", b"", True),
        (b"# why\ny\nx\n", b"x\ny", True),
        (b"x", b"x\ny", False),
        (b"", b"x", False),
        (KRL + b"1", KRL + b"1", True),
        (KRL + b"1", b"", True),
        (KRL + b"1", KRL + b"2", False),
        (KRL + b"1", b"x", False),
        (KRL + b"\nx", b"x", False),
        (b"x", KRL, False),
        (KRL, KRL + b"\nx", False),
    ],
)
def test_what_was_revoked_stays_revoked_in_a_list_that_is_within_another(
    here: bytes, there: bytes, within: bool
) -> None:
    assert Trust(b"ada k", revoked=here).within(Trust(b"ada k", revoked=there)) is within


def test_a_list_is_within_another_where_nobody_is_new() -> None:
    one, two = ("ada", b"1"), ("ben", b"2")
    few, many = Trust(b"ada k", (one,)), Trust(b"ada k\nben k", (one, two))
    assert few.within(many) and many.within(many) and not many.within(few)
    assert not Trust().within(many), "it is nobody's"
    assert not Trust(b"ada k\nben k").within(few) and not Trust(b"ada k", (one, two)).within(few)
    assert not Trust(b"ada k", (("ada", b"2"),)).within(many), "another key by the same name"


def test_what_locks_everybody_out_is_read_over(crowd: People, holders: dict[str, str], tmp_path: Path) -> None:
    revoked = f"# gone\n{crowd.public('eve')}\nnoise\n{crowd.public('ben')}\n".encode()
    files = (("noise", b"junk"), ("ada", export(crowd, "ada")))
    listed = crowd.allowed("ada").encode() + b"ada ssh-ed25519 junk\n"
    read = Trust(listed, files, revoked).readable()
    assert read.revoked == revoked.replace(b"noise\n", b"") and read.openpgp == files[1:] and read.ssh == listed
    (tmp_path / "eve").write_text(f"{crowd.public('eve')}\n")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", tmp_path / "krl", tmp_path / "eve"], check=True)
    krl = (tmp_path / "krl").read_bytes()
    assert krl.startswith(KRL) and Trust(listed, revoked=krl).readable().revoked == krl
    assert Trust(listed, revoked=krl[:-9]).readable().revoked == b"", "of a damaged one nothing can be read"


def test_a_signature_has_so_many_bytes_and_no_more(crowd: People) -> None:
    """Blank ends of lines are within its form: a verifier reads over them."""
    good, trust = ssh(crowd, "ada"), trusting(crowd, "ada")
    full = good.signature + b" " * (MAX_SIGNATURE - len(good.signature))
    assert signer(replace(good, signature=full), trust) == "ada"
    assert "more than 64 KiB" in refused(replace(good, signature=full + b" "), trust).message


def test_trust_is_read_from_settings_and_from_a_repository(tmp_path: Path) -> None:
    for place in ("keys/openpgp", "first"):
        (tmp_path / place).mkdir(parents=True)
    for name, data in {"keys/allowed_signers": "a", "keys/revoked_keys": "r", "keys/openpgp/ben.asc": "b"}.items():
        (tmp_path / name).write_text(data)
    (tmp_path / "fleet.yaml").touch()
    assert Trust.of_tree(FolderTree(tmp_path)) == Trust(b"a", (("ben", b"b"),), b"r", "the fleet repo's keys/")
    for name in ("b.asc", "a.asc", "notes.txt"):
        (tmp_path / "first" / name).write_text(name)
    allowed, folder = tmp_path / "keys/allowed_signers", tmp_path / "first"
    keys = (("a", b"a.asc"), ("b", b"b.asc"))
    assert FirstKeys(allowed, folder).trust() == Trust(b"a", keys, place=str(allowed))
    assert FirstKeys(None, folder).trust() == Trust(b"", keys, place=str(folder))
    assert FirstKeys().trust() == Trust() == Trust.of_files(tmp_path / "none").or_else(Trust())
    assert Trust.of_files(tmp_path / "none").place == str(tmp_path / "none")
    assert not FirstKeys().named and FirstKeys(allowed).named and FirstKeys(openpgp=folder).named


def test_a_change_of_the_first_keys_is_seen(tmp_path: Path) -> None:
    file, folder = tmp_path / "allowed", tmp_path / "openpgp"
    stamps = [FirstKeys().stamp(), FirstKeys(file, folder).stamp()]
    assert stamps == [(), ()]
    for change in (file.touch, folder.mkdir, (folder / "ada.asc").touch, lambda: file.write_text("x"), file.unlink):
        change()
        time.sleep(0.01)
        stamps.append(FirstKeys(file, folder).stamp())
    assert len(set(stamps[1:])) == len(stamps[1:]) - 1, "an empty folder is as none"


# --- OpenPGP ---


@pytest.fixture(scope="module")
def holders(crowd: People) -> dict[str, str]:
    """Name -> fingerprint, of people with OpenPGP keys."""
    return {name: crowd.openpgp(name) for name in ("ada", "eve")}


def export(people: People, *names: str) -> bytes:
    return people.gpg("--armor", "--export", *(f"{name}@example.org" for name in names))


def pgp(people: People, *names: str, words: bytes = WORDS, options: tuple[str, ...] = ()) -> Signed:
    users = [word for name in names for word in ("-u", f"{name}@example.org")]
    signature = people.gpg("--armor", *options, *users, "--detach-sign", stdin=words)
    return Signed("commit", "1" * 40, b"", {}, signature, words)


def test_an_openpgp_signature_is_of_the_file_that_holds_its_key(crowd: People, holders: dict[str, str]) -> None:
    ada, eve = ((name, export(crowd, name)) for name in ("ada", "eve"))
    assert signer(pgp(crowd, "ada"), Trust(openpgp=(("nobody", b"\n"), ada))) == "ada"
    assert signer(pgp(crowd, "eve"), Trust(openpgp=(ada, eve))) == "eve"
    team = Trust(openpgp=(("team", export(crowd, "ada", "eve")),))
    assert [signer(pgp(crowd, name), team) for name in ("ada", "eve")] == ["team", "team"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("other words", "BadSignature"),
        ("garbled", "BadSignature"),
        ("unknown", "UnknownKey"),
        ("two", "SeveralSignatures"),
        ("of before its key", "BadSignature"),
    ],
)
def test_an_openpgp_signature_that_is_not_good_is_refused_by_name(
    crowd: People, holders: dict[str, str], how: str, reason: str
) -> None:
    trust = Trust(openpgp=(("ada", export(crowd, "ada")),))
    good = pgp(crowd, "ada")
    signed = {
        "other words": replace(good, payload=WORDS + b"!"),
        "garbled": replace(good, signature=b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"),
        "unknown": pgp(crowd, "eve"),
        "two": pgp(crowd, "ada", "eve"),
        "of before its key": good,
    }[how]
    assert refused(signed, trust, YEAR_2020 if how == "of before its key" else None).reason == reason


PGP_END = b"-----END PGP SIGNATURE-----\n"
PGP_DAMAGED = {
    "cut off": lambda crowd, good: good[: len(good) // 2],
    "no end": lambda crowd, good: good[: good.index(PGP_END)],
    "words follow": lambda crowd, good: good + b"more words\n",
    "another end": lambda crowd, good: good.replace(b"END PGP", b"END SSH"),
    "a megabyte": lambda crowd, good: good.replace(PGP_END, b"A" * (1 << 20) + b"\n" + PGP_END),
    "by SHA-1": lambda crowd, good: pgp(crowd, "ada", options=("--digest-algo", "SHA1")).signature,
    "of text": lambda crowd, good: pgp(crowd, "ada", options=("--textmode",)).signature,
    "of other words, which it brings along": lambda crowd, good: crowd.gpg(
        "--armor", "-u", "ada@example.org", "--sign", stdin=b"other"
    ),
    "another's armour": lambda crowd, good: good.replace(b"PGP", b"SSH"),
}


@pytest.mark.parametrize("how", PGP_DAMAGED.values(), ids=PGP_DAMAGED)
def test_a_damaged_openpgp_signature_is_bad(crowd: People, holders: dict[str, str], how: Callable[..., bytes]) -> None:
    good = pgp(crowd, "ada")
    trust = Trust(openpgp=(("ada", export(crowd, "ada")),))
    assert refused(replace(good, signature=how(crowd, good.signature)), trust).reason == "BadSignature"


def test_a_signature_of_text_does_not_hold_for_other_line_ends(crowd: People, holders: dict[str, str]) -> None:
    signed = pgp(crowd, "ada", options=("--textmode",))
    other = replace(signed, payload=WORDS.replace(b"\n", b"\r\n"))
    assert refused(other, Trust(openpgp=(("ada", export(crowd, "ada")),))).reason == "BadSignature"


@pytest.mark.parametrize("key", [b"no key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"])
def test_a_key_file_without_a_key_is_named(crowd: People, holders: dict[str, str], key: bytes) -> None:
    said = refused(pgp(crowd, "ada"), Trust(openpgp=(("ada", export(crowd, "ada")), ("ben", key))))
    assert said.reason == "BadKeyFile" and said.message.startswith("openpgp/ben.asc holds no OpenPGP key")


def test_an_openpgp_key_is_good_at_a_time_and_a_revoked_one_never(tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    fingerprint = people.openpgp("old", "--faked-system-time", "20200101T000000")
    # An hour later: a clock that began anew would be behind the key, which took its time.
    people.gpg("--faked-system-time", "20200101T010000", "--quick-set-expire", fingerprint, "1y")
    signed = pgp(people, "old", options=("--faked-system-time", "20200102T000000"))
    trust = Trust(openpgp=(("old", export(people, "old")),))
    assert signer(signed, trust, YEAR_2020 + 5 * 86400) == "old"
    assert refused(signed, trust).reason == "ExpiredKey"
    assert refused(signed, trust, YEAR_2021 + 30 * 86400).reason == "ExpiredKey"
    certificate = people.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
    people.gpg("--import", stdin=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    revoked = Trust(openpgp=(("old", export(people, "old")),))
    assert refused(signed, revoked, YEAR_2020 + 5 * 86400).reason == "RevokedKey"
    people.close()


def test_an_expired_key_in_a_file_takes_nothing_from_the_others_in_it(
    crowd: People, holders: dict[str, str], tmp_path: Path
) -> None:
    """Whoever has a new key keeps the old one beside it, for what it signed."""
    people = People(tmp_path / "people")
    people.gpg("--faked-system-time", "20200101T000000", "--quick-generate-key", "old <old@example.org>", "ed25519",
               "sign", "1y")  # fmt: skip
    for keys in (export(people, "old") + export(crowd, "ada"), export(crowd, "ada") + export(people, "old")):
        assert signer(pgp(crowd, "ada"), Trust(openpgp=(("ada", keys),))) == "ada"
    people.close()


def test_a_subkeys_signature_is_of_the_file_that_holds_the_primary_key(tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    fingerprint = people.openpgp("ada")
    people.gpg("--quick-add-key", fingerprint, "ed25519", "sign", "0")
    signed = pgp(people, "ada")
    assert signer(signed, Trust(openpgp=(("ada", export(people, "ada")),))) == "ada"
    people.close()
