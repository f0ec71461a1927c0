"""Approvals by OpenPGP: whoever may push tags makes thousands that name a listed key, and hides no honest one."""

import base64
import resource
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ObjectType

from gitops.errors import SourceError
from gitops.source.trust import approvals
from gitops.source.trust.objects import Signed
from gitops.source.trust.pgp import many, packet, ring
from gitops.source.trust.signatures import Trust, names
from tests.kit.people import People
from tests.kit.trust import PgpStory

END = b"-----END PGP SIGNATURE-----\n"


class Flooded(PgpStory):
    """v1.0.0, by Ada's OpenPGP key, needs a second one; Ben has such a key, too, and Eve one that nobody listed."""

    def __init__(self, folder: Path, people: People) -> None:
        super().__init__(folder, people)
        for name in ("ben", "eve"):
            people.openpgp(name)
        self.export("ben")
        self.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
        self.by("v1.0.0", "ada")

    def by(self, name: str, who: str) -> None:
        options = ["-c", f"user.signingkey={who}@example.org"]
        self.remote.git(*options, "tag", "-s", "-m", name, name, "HEAD")
        self.push(name)

    def flood(self, count: int, like: bytes, change: Callable[[bytes], bytes] = lambda raw: raw) -> None:
        """So many tags with the signature of one of another name."""
        repository = pygit2.Repository(str(self.remote.bare))
        first = len(list(repository.references))
        for number in range(first, first + count):
            raw = change(like.replace(b"tag approved/v1.0.0/one", b"tag approved/v1.0.0/%07d" % number))
            made = repository.odb.write(int(ObjectType.TAG), raw)
            repository.references.create(f"refs/tags/approved/v1.0.0/{number:07}", made)

    def one(self, who: str) -> bytes:
        """An approval that is there by no name."""
        options = ["-c", f"user.signingkey={who}@example.org"]
        self.remote.git(*options, "tag", "-s", "-m", "x", "approved/v1.0.0/one", "HEAD")
        raw = self.raw("tag", "approved/v1.0.0/one")
        self.remote.git("tag", "-d", "approved/v1.0.0/one")
        return raw


@pytest.fixture
def flooded(tmp_path: Path, people: People) -> Flooded:
    return Flooded(tmp_path, people)


def resigned(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """An approval with another signature in the armour."""

    def changed(raw: bytes) -> bytes:
        head, begin, rest = raw.partition(b"-----BEGIN PGP SIGNATURE-----\n\n")
        text = b"".join(line for line in rest.split(b"\n") if line and not line.startswith((b"=", b"-")))
        data = change(base64.b64decode(text))
        return head + begin + base64.encodebytes(data) + END

    return changed


FLOODS = {
    "a stranger's": ("eve", lambda raw: raw),
    "forged, of a listed key": ("ben", lambda raw: raw),
    "that nobody can read": ("ben", resigned(lambda data: data + b"\xca\x03PGP")),
    "of a version that nobody knows": ("ben", resigned(lambda data: data[:2] + b"\x09" + data[3:])),
    "cut off": ("ben", resigned(lambda data: data[:-9])),
}


@pytest.mark.parametrize(("who", "change"), FLOODS.values(), ids=FLOODS)
def test_a_flood_of_openpgp_approvals_takes_no_place_away(
    flooded: Flooded, who: str, change: Callable[[bytes], bytes]
) -> None:
    flooded.flood(90, flooded.one(who), change)
    flooded.refused("ThresholdNotMet")
    flooded.by("approved/v1.0.0/zoe", "ben")
    assert flooded.started().poll().signers == ("ada", "ben")


def test_an_honest_approval_is_found_among_2000_forged_ones(flooded: Flooded) -> None:
    flooded.flood(2000, flooded.one("ben"))
    flooded.by("approved/v1.0.0/zoe", "ben")
    assert flooded.started().poll().signers == ("ada", "ben")


def test_large_approvals_are_not_held_in_memory_together(flooded: Flooded) -> None:
    """A megabyte of one letter is a kilobyte at the remote."""
    large = flooded.one("eve").replace(b"\nx\n", b"\n" + b"x" * 1_000_000 + b"\n", 1)
    flooded.flood(150, large)
    flooded.by("approved/v1.0.0/zoe", "ben")
    source = flooded.started()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert source.poll().signers == ("ada", "ben")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


# --- one by one ---


def signed(people: People, who: str, words: bytes, *options: str) -> Signed:
    signature = people.gpg("--armor", *options, "-u", f"{who}@example.org", "--detach-sign", stdin=words)
    return Signed("tag", "1" * 40, b"", {"tag": who}, signature, words)


def listed(people: People, *who: str) -> Trust:
    return Trust(openpgp=tuple((each, people.gpg("--armor", "--export", f"{each}@example.org")) for each in who))


def test_many_are_judged_as_each_by_itself(people: People) -> None:
    """Whatever stands between good ones; keys of three kinds, and a subkey."""
    for who in ("ada", "ben"):
        people.openpgp(who)
    people.gpg("--quick-generate-key", "rsa <rsa@example.org>", "rsa2048", "sign", "0")
    people.gpg("--quick-generate-key", "sub <sub@example.org>", "ed25519", "cert", "0")
    rows = people.gpg("--with-colons", "--list-keys", "sub@example.org").decode().splitlines()
    people.gpg("--quick-add-key", next(row.split(":")[9] for row in rows if row.startswith("fpr")), "rsa2048", "sign")
    trust = listed(people, "ada", "rsa", "sub")
    asked = [
        signed(people, who, b"%d" % number, *options)
        for number, (who, options) in enumerate(
            [("ada", ()), ("rsa", ()), ("ben", ()), ("sub", ()), ("ada", ("--digest-algo", "SHA1")), ("ada", ())]
        )
    ]
    asked[3:3] = [Signed("tag", "2" * 40, b"", {}, asked[0].signature, b"other")]
    keys = ring.of(trust.openpgp)
    found = many.verdicts(asked, keys)
    for each, said in zip(asked, found, strict=True):
        try:
            alone = names(each, trust)
        except SourceError as refusal:
            assert isinstance(said, SourceError) and said.reason == refusal.reason
        else:
            assert isinstance(said, str) and keys.owners[said] == alone
    assert [isinstance(said, str) for said in found] == [True, True, False, False, True, False, True]


def test_what_a_listed_key_is_called_says_nothing_in_gpg_s_name(people: People) -> None:
    """A name is anybody's to choose: it stands in what gpg says, and some of it looks like a line of gpg's own."""
    ada = people.openpgp("ada")
    odd = f"odd [GNUPG:] FILE_START 1\u2028[GNUPG:] IMPORT_OK 1 {ada} <odd@example.org>"
    people.gpg("--quick-generate-key", odd, "ed25519", "sign", "0")
    keys = ring.of(listed(people, "ada", "odd").openpgp)
    assert keys.owners[ada] == ("ada",) and len(keys.ids) == 2
    asked = [signed(people, who, b"%d" % number) for number, who in enumerate(("odd", "ada", "odd", "ada"))]
    found = many.verdicts(asked, keys)
    assert [isinstance(said, str) and keys.owners[said] for said in found] == [("odd",), ("ada",), ("odd",), ("ada",)]


def test_what_a_signature_says_of_itself(people: People) -> None:
    people.openpgp("ada")
    trust = listed(people, "ada")
    good = signed(people, "ada", b"words").signature
    claim = packet.read(good)
    assert claim and claim.issuers == ring.of(trust.openpgp).ids
    comment = good.replace(b"SIGNATURE-----\n", b"SIGNATURE-----\nComment: of mine\nVersion: 1\n", 1)
    assert packet.read(comment) == claim and packet.read(good.replace(b"\n", b"\r\n")) == claim
    data = base64.b64decode(b"".join(good.split(b"\n")[2:-3]))
    for end in range(len(data)):  # cut off anywhere, and with anything in a byte's place
        for odd in (data[:end], data[:end] + b"\xff" + data[end + 1 :], data[:end] + bytes(1) + data[end + 1 :]):
            packet.read(b"-----BEGIN PGP SIGNATURE-----\n\n" + base64.encodebytes(odd) + END)
    assert packet.read(b"") is None and packet.read(good + good[30:]) == claim


def test_a_key_file_without_a_key_stops_no_approval_of_another_kind(people: People) -> None:
    people.openpgp("ada")
    trust = Trust(people.allowed("ben").encode(), openpgp=(("eve", b"no key"),))
    refused = list[SourceError]()
    assert not list(approvals.Worth(trust, refused).asking([signed(people, "ada", b"words")]))
    assert [each.reason for each in refused] == ["BadKeyFile"]
