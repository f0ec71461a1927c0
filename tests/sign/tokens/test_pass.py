"""A pass of the controller with a token that hangs or is away: it ends and says why; what needs no token goes on."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing

from gitops.errors import TokenError
from gitops.publish.folder import Folder
from gitops.sign import keys
from gitops.sign.ssh import HostAuthority
from gitops.sign.tokens import reference, session, uri
from gitops.sign.tuf import signed
from gitops.store.notes.box_keys import HostCertificate
from tests.kit.console import toweros
from tests.kit.published import PASSPHRASE
from tests.kit.site import HELLO, Site
from tests.kit.tokens import Token


def name_in_token(site: Site, token: Token, role: str, kind: str = "ed25519") -> Path:
    """The role's key is in the token from now on."""
    secret = site.folder / "pass"
    secret.write_bytes(PASSPHRASE)
    words = [role, site.settings.keys, "--key", token.add(role, kind), "--passphrase-file", secret]
    done = toweros("keys", "rotate", *words)
    assert done.exit_code == 0, done.exception
    return Path(site.settings.keys / ("db.key" if role == "db" else f"{role}.pem"))


def through(file: Path, token: Token, fault: str) -> None:
    """The key file names a module with a fault."""
    before = token.module
    token.faulty(fault)
    keys.write(file, file.read_bytes().replace(before.encode(), token.module.encode()))


def test_a_db_token_that_is_away_stops_new_releases_alone_and_the_pass_says_which_key(site: Site, token: Token) -> None:
    name_in_token(site, token, "db", "rsa")
    for path in site.settings.keys.glob("db.old*"):
        path.unlink()
    site.run()
    offered = site.offers()
    token.away()
    site.commit(HELLO)
    controller, store, _ = site.start()
    with store.lease.held():
        with pytest.raises(TokenError, match="db in token fleet cannot sign: the token is not there"):
            controller.run_once()
        assert site.offers() == offered
        events = [str(event.message) for event in store.events.latest(limit=50)]
        assert any("db in token fleet cannot sign" in message for message in events), events
        token.back()
        assert controller.run_once().published, "nothing has to be restarted"


def test_a_pass_waits_once_for_a_token_that_hangs_whatever_is_to_be_signed(
    site: Site, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    offered = site.offers()
    file = name_in_token(site, token, "targets")
    sound = file.read_bytes()
    through(file, token, "FAULT_HANG")
    site.commit(HELLO)
    controller, store, _ = site.start()
    with store.lease.held():
        with monkeypatch.context() as patch, pytest.raises(TokenError, match="gave no answer within 5 s"):
            patch.setattr(session, "DEADLINE", 5.0)
            controller.run_once()
        assert token.logins == 1 and site.offers() == offered, "holds, rollout and refresh asked as well"
        keys.write(file, sound)
        assert controller.run_once().published and site.offers() != offered


def test_a_token_of_the_ssh_authority_that_is_away_is_asked_again_and_costs_no_pass(site: Site, token: Token) -> None:
    HostAuthority.open(site.settings.keys)
    held = reference.found(uri.parse(token.add("ssh-ca")), site.settings.keys)
    keys.write(site.settings.keys / "ssh-ca", held.text)
    site.run()
    box = min(site.offers())
    note = HostCertificate(f"ssh-ed25519 {'AAAAC3NzaC1lZDI1NTE5AAAAI' + 'A' * 43}")
    site.store.notes.put(note, box)
    token.away()
    with structlog.testing.capture_logs() as logs:
        site.run()
    assert [line for line in logs if line["event"] == "ssh.uncertified" and "the token is not there" in line["why"]]
    assert site.store.notes.get(HostCertificate, box) == note, "not remembered as a box that goes without"
    token.back()
    site.run()
    made = site.store.notes.get(HostCertificate, box)
    assert made and made.certificate and replace(made, certificate="").key == note.key


def test_a_timestamp_token_that_is_away_leaves_the_last_signature_and_the_next_pass_signs(
    site: Site, token: Token
) -> None:
    name_in_token(site, token, "timestamp")
    site.run()
    metadata = Folder(site.store.paths.metadata)
    before = signed(metadata.read)
    token.away()
    site.run()
    assert signed(metadata.read) == before and time.time() - before < 600, "nothing was due, nobody was asked"
    site.commit(HELLO)
    with pytest.raises(TokenError, match="timestamp in token fleet cannot sign"):
        site.run()
    assert signed(metadata.read) == before
    token.back()
    site.run()
    assert signed(metadata.read) >= before
