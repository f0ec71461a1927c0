"""Every role can sign from a token: what boxes, firmware, ssh and git take of it is what they take of files.

The commands are those of docs/keys.md, "Keys in tokens".
"""

import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key
from toweros_agent.firmware.authenticode import signed_by
from tuf.api.metadata import Metadata, Root
from typer.testing import Result

from gitops.errors import SettingsError, SignError, TokenError
from gitops.sign import Signer, keys, secureboot
from gitops.sign.commits import CommitKey
from gitops.sign.enrolled import der
from gitops.sign.roots import draft as drafts
from gitops.sign.roots.rotation import NEXT
from gitops.sign.ssh import HostAuthority
from tests.kit.console import toweros
from tests.kit.followed import Box, served
from tests.kit.pe import a_pe_file
from tests.kit.published import PASSPHRASE, Kit, kit
from tests.kit.tokens import Token
from tests.simulators.signed_box import Site, fingerprint


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    made = kit(tmp_path / "kit")
    (made.folder / "pass").write_bytes(PASSPHRASE)
    made.publisher.publish([made.publication("demo-1", 1)])
    return made


@pytest.fixture
def folder(here: Kit) -> Path:
    return here.folder / "keys"


@pytest.fixture
def url(here: Kit) -> Iterator[str]:
    with served(here) as url:
        yield url


@pytest.fixture
def box(here: Kit, url: str, tmp_path: Path) -> Box:
    return Box(here, url, tmp_path / "box")


def rotate(here: Kit, role: str, *words: str) -> Result:
    return toweros("keys", "rotate", role, here.folder / "keys", "--passphrase-file", here.folder / "pass", *words)


def raise_of(result: Result) -> None:
    assert result.exception
    raise result.exception


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_targets_snapshot_and_timestamp_sign_in_a_token_and_boxes_follow(
    here: Kit, folder: Path, box: Box, token: Token, kind: str
) -> None:
    assert box.sees() == 1
    for role in keys.tuf.ONLINE:
        done = rotate(here, role, "--key", token.add(role, kind))
        assert done.exit_code == 0, done.exception
        assert keys.held(folder / f"{role}.pem") and stat.S_IMODE((folder / f"{role}.pem").stat().st_mode) == 0o600
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2
    assert "in a token" in toweros("keys", "status", folder).output
    assert not [path for path in folder.glob("*.pem") if path.name != "builder.pem" and b"PRIVATE" in path.read_bytes()]


def test_a_token_that_is_away_keeps_what_is_offered_and_only_what_it_signs_waits(
    here: Kit, folder: Path, box: Box, token: Token
) -> None:
    assert rotate(here, "targets", "--key", token.add("targets")).exit_code == 0
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    token.away()
    with pytest.raises(TokenError, match="targets in token fleet cannot sign: the token is not there"):
        here.publisher.publish([here.publication("demo-1", 3, b"three")])
    assert box.sees() == 2, "what was published is whole"
    stamps = ["boxes/demo-1/timestamp.json", "timestamp.json"]
    assert here.publisher.refresh(int(time.time()) + 2 * 86400) == stamps, "whose key is a file"
    assert Signer.open(folder, here.store).root == (folder / "root.json").read_bytes(), "a controller starts without it"
    token.back()
    here.publisher.publish([here.publication("demo-1", 3, b"three")])
    assert box.sees() == 3


def test_a_ceremony_with_one_root_key_in_a_token(
    here: Kit, folder: Path, box: Box, token: Token, tmp_path: Path
) -> None:
    """Ada's key is in a token; ben's is a file. Both have to sign."""
    ada, ben = tmp_path / "ada", tmp_path / "ben"
    for machine in (ada, ben):
        machine.mkdir()
    secret = ["--passphrase-file", str(here.folder / "pass")]
    uri = token.add("ada", "p256")
    made = toweros("keys", "make", ada / "ada.pem", "--key", uri)
    assert made.exit_code == 0 and b"PRIVATE" not in (ada / "ada.pem").read_bytes(), made.exception
    assert toweros("keys", "make", ada / "ada.pem", "--key", uri).exit_code == 1, "never overwritten"
    assert toweros("keys", "make", ben / "ben.pem", *secret).exit_code == 0
    halves = ["--root-key", str(ada / "ada.pem.pub"), "--root-key", str(ben / "ben.pem.pub"), "--threshold", "2"]
    assert "0 of 2 keys of the new root have signed" in str(rotate(here, "root", *halves).exception)
    draft = Path(shutil.copy(folder / NEXT, ada))
    token.away()
    with pytest.raises(TokenError, match="the token is not there"):
        raise_of(toweros("keys", "sign", draft, "--key", uri))
    token.back()
    signed = toweros("keys", "sign", draft, "--key", uri)
    assert signed.exit_code == 0 and drafts.digest(drafts.read(draft.read_bytes())) in signed.stdout
    assert toweros("keys", "import", draft, folder).exit_code == 1
    other = Path(shutil.copy(folder / NEXT, ben))
    assert toweros("keys", "sign", other, "--key", ben / "ben.pem", *secret).exit_code == 0
    assert toweros("keys", "import", other, folder).exit_code == 0
    assert box.sees() == 1
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2
    shutil.rmtree(folder / "root")
    assert rotate(here, "timestamp").exit_code == 1
    for machine, words in ((ada, ["--key", str(ada / "ada.pem")]), (ben, ["--key", str(ben / "ben.pem"), *secret])):
        copy = Path(shutil.copy(folder / NEXT, machine))
        assert toweros("keys", "sign", copy, *words).exit_code == 0, "the file that names it does as well"
        toweros("keys", "import", copy, folder)
    here.publisher.publish([here.publication("demo-1", 3, b"three")])
    assert box.sees() == 3


def test_root_keys_in_two_tokens_sign_here_and_one_that_is_lost_stops_no_rotation(
    here: Kit, folder: Path, box: Box, token: Token
) -> None:
    uris = [token.add(label) for label in ("root-a", "root-b")]
    done = rotate(here, "root", *(f"--key={uri}" for uri in uris), "--threshold", "1")
    assert done.exit_code == 0, done.exception
    assert sorted(path.name for path in (folder / "root").glob("*.pem")) == ["root-2-1.pem", "root-2-2.pem"]
    renewed = toweros("keys", "renew", folder)
    assert renewed.exit_code == 0, "no passphrase is asked for: none of them has one"
    lost = folder / "root" / "root-2-2.pem"
    keys.write(lost, lost.read_bytes().replace(b"token=fleet", b"token=lost"))
    assert toweros("keys", "rotate", "targets", folder).exit_code == 0
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert box.sees() == 2
    token.away()
    before = (folder / "root.json").read_bytes()
    with pytest.raises(TokenError, match="the token is not there"):
        raise_of(toweros("keys", "rotate", "targets", folder))
    assert (folder / "root.json").read_bytes() == before and not [*folder.glob("*.new")]


def test_programs_are_signed_by_a_db_key_in_a_token_as_sbverify_and_a_box_read_it(tmp_path: Path, token: Token) -> None:
    site = Site(tmp_path / "site")
    old = fingerprint(site.keys / "db.crt")
    done = toweros("keys", "rotate", "db", site.keys, "--key", token.add("db", "rsa"))
    assert done.exit_code == 0 and keys.held(site.keys / "db.key"), done.exception
    site.boot().settle()
    assert site.lists() == {old, fingerprint(site.keys / "db.crt")}
    site.install()
    image = site.programs[0].read_bytes()
    assert all(secureboot.verify(image, site.keys / name) for name in ("db.crt", "db.old.crt")), "by sbverify"
    assert signed_by(site.programs[0], [der((site.keys / "db.crt").read_bytes())])
    assert toweros("keys", "retire", "db", "--yes", site.keys).exit_code == 0
    site.install()
    site.boot().settle()
    assert site.lists() == {fingerprint(site.keys / "db.crt")} and site.starts()
    for path in site.keys.glob("db.old*"):
        path.unlink()
    made = Signer.open(site.keys).sign_boot(a_pe_file())
    assert secureboot.verify(made, site.keys / "db.crt") and made == Signer.open(site.keys).sign_boot(a_pe_file())
    damaged = made[:1030] + bytes([made[1030] ^ 1]) + made[1031:]
    assert not secureboot.verify(damaged, site.keys / "db.crt")
    with pytest.raises(SignError, match="no PE32"):
        Signer.open(site.keys).sign_boot(b"MZ" + bytes(200))
    shutil.copy(site.keys / "KEK.crt", site.keys / "db.crt")
    with pytest.raises(SignError, match="does not prove what"):
        Signer.open(site.keys).sign_boot(a_pe_file())


def test_pk_and_kek_sign_variables_from_a_token_to_which_they_were_moved(tmp_path: Path, token: Token) -> None:
    site = Site(tmp_path / "site")
    for name in ("PK", "KEK"):
        file = site.keys / f"{name}.key"
        private = file.read_bytes()
        with pytest.raises(SignError, match="another one than that of"):
            raise_of(toweros("keys", "move", file, "--key", token.add(f"not-{name}", "rsa")))
        assert file.read_bytes() == private
        done = toweros("keys", "move", file, "--key", token.take(name, private))
        assert done.exit_code == 0 and keys.held(file), done.exception
        moved = site.keys / f"{name}.key.moved"
        assert moved.read_bytes() == private and stat.S_IMODE(moved.stat().st_mode) == 0o600
        moved.unlink()
    assert toweros("keys", "rotate", "KEK", site.keys, "--key", token.add("KEK-2", "rsa")).exit_code == 0
    assert toweros("keys", "rotate", "db", site.keys).exit_code == 0
    site.boot().settle()
    assert fingerprint(site.keys / "KEK.crt") in site.lists("KEK"), "by PK, in the token"
    assert fingerprint(site.keys / "db.crt") in site.lists("db"), "by the new KEK, in the token"


def test_a_key_of_another_kind_than_the_role_takes_is_refused_before_anything_changes(
    here: Kit, folder: Path, token: Token
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rsa, p256 = token.add("rsa", "rsa"), token.add("p256", "p256")
    for role, uri in (("targets", rsa), ("root", rsa), ("builder", p256), ("ssh-ca", rsa), ("db", p256)):
        with pytest.raises(SettingsError, match="takes"):
            raise_of(rotate(here, role, "--key", uri))
    with pytest.raises(SettingsError, match="targets has one key"):
        raise_of(rotate(here, "targets", "--key", p256, "--key", p256))
    with pytest.raises(SettingsError, match="all servers"):
        raise_of(rotate(here, "receipts", "--key", p256))
    with pytest.raises(SettingsError, match="takes the URI of a key"):
        raise_of(rotate(here, "targets", "--key", "timestamp.pem"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_builder_attests_from_a_token_beside_the_key_before(here: Kit, folder: Path, token: Token) -> None:
    assert rotate(here, "builder", "--key", token.add("builder")).exit_code == 0
    signer = Signer.open(folder, here.store)
    sealed = signer.attest(b'{"_type": "statement"}')
    assert signer.attested(sealed) == (b'{"_type": "statement"}', True)
    assert keys.held(folder / "builder.pem") and not keys.held(folder / "builder.old.pem")


def test_ssh_takes_host_certificates_of_an_authority_in_a_token(folder: Path, token: Token, tmp_path: Path) -> None:
    private = folder / "ssh-ca"
    HostAuthority.open(folder)
    plain = load_ssh_private_key(private.read_bytes(), None)
    pem = plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    line = HostAuthority.open(folder).public
    assert toweros("keys", "move", private, "--key", token.take("ssh-ca", pem)).exit_code == 0
    authority = HostAuthority.open(folder)
    assert authority.public == line, "nobody needs another line in known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host"], check=True)
    certificate = authority.certify((tmp_path / "host.pub").read_text(), ("demo-1",), int(time.time()))
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", "-"], input=certificate, capture_output=True, text=True, check=True
    ).stdout
    assert "host certificate" in shown and "demo-1" in shown
    assert toweros("keys", "rotate", "ssh-ca", folder, "--key", token.add("ssh-ca-2")).exit_code == 0
    assert HostAuthority.open(folder).public != line == (folder / "ssh-ca.old.pub").read_text().strip()


def test_git_takes_commits_that_are_signed_in_a_token(folder: Path, token: Token, tmp_path: Path) -> None:
    """`ssh-keygen` itself judges, as `git verify-commit` does."""
    done = toweros("keys", "rotate", "security", folder, "--key", token.add("security"))
    assert done.exit_code == 0 and "toweros-security" in done.output, done.exception
    key = CommitKey.open(folder)
    (tmp_path / "signers").write_text(f"{key.allowed}\n")
    (tmp_path / "signature").write_bytes(key.sign(b"tree 1"))
    words = ["-Y", "verify", "-f", tmp_path / "signers", "-I", "toweros-security", "-n", "git"]
    verify = ["ssh-keygen", *words, "-s", tmp_path / "signature"]
    assert subprocess.run(verify, input=b"tree 1", capture_output=True).returncode == 0
    assert subprocess.run(verify, input=b"tree 2", capture_output=True).returncode != 0


def test_a_copy_of_a_token_takes_over_by_another_uri(here: Kit, folder: Path, token: Token) -> None:
    uri = token.add("timestamp")
    assert rotate(here, "timestamp", "--key", uri).exit_code == 0
    half = (folder / "timestamp.pem").read_bytes().partition(b"\n")[2]
    moved = toweros("keys", "move", folder / "timestamp.pem", "--key", uri.replace("object=timestamp", "id=%01"))
    assert moved.exit_code == 0 and not (folder / "timestamp.pem.moved").exists(), moved.exception
    assert (folder / "timestamp.pem").read_bytes().partition(b"\n")[2] == half
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    named = Metadata[Root].from_bytes((folder / "root.json").read_bytes()).signed.roles["timestamp"].keyids
    document = (here.store.paths.metadata / "timestamp.json").read_bytes()
    assert {*Metadata.from_bytes(document).signatures} == {*named}
    assert datetime.now(UTC) < Metadata.from_bytes(document).signed.expires
