"""Tokens with faults: none holds up a pass, none is locked by us, and neither garbage nor a PIN comes out."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog.testing

from gitops import process
from gitops.errors import SignError, TokenError
from gitops.sign import keys
from gitops.sign.tokens import reference, session, uri
from gitops.sign.tokens.held import AnyHeld, HeldEd25519
from tests.kit.tokens import PIN, Token


def key_of(token: Token, label: str = "targets") -> AnyHeld:
    """As a key file in a folder names it."""
    file = token.folder / "keys" / f"{label}.pem"
    file.parent.mkdir(exist_ok=True)
    text = token.uri(label)
    if not file.exists():
        keys.write(file, reference.found(uri.parse(text), file.parent).text)
    _, _, half = file.read_bytes().partition(b"\n")
    keys.write(file, text.encode() + b"\n" + half)
    return reference.read(file, file.read_bytes())


def sign(token: Token, label: str = "targets") -> bytes:
    key = key_of(token, label)
    assert isinstance(key, HeldEd25519)
    return key.sign(b"what is signed")


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process, or the same after a restart."""
    monkeypatch.setattr(session, "_tokens", {})


def test_a_wrong_pin_is_tried_once_by_whichever_key_and_process_and_the_right_one_at_once(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("targets", "snapshot"):
        token.add(label)
        key_of(token, label)
    token.faulty()
    token.pin.write_text("11111111\n")
    with pytest.raises(
        TokenError, match=f"targets in token fleet cannot sign: the PIN in {token.pin} is refused"
    ) as said:
        sign(token)
    assert "write the right PIN into" in said.value.hint and token.logins == 1
    for label in ("targets", "snapshot"):
        with pytest.raises(TokenError, match="was refused before, and is not tried again"):
            sign(token, label)
    forget(monkeypatch)
    for label in ("targets", "snapshot"):
        with pytest.raises(TokenError, match="was refused before, and is not tried again"):
            sign(token, label)
    assert token.logins == 1, "two more, and the token is locked"
    kept = b"".join(path.read_bytes() for path in (token.folder / "keys").glob("refused-*"))
    assert kept and b"11111111" not in kept
    token.pin.write_text(f"{PIN}\n")
    assert sign(token) and sign(token, "snapshot") and token.logins == 3
    assert not [*(token.folder / "keys").glob("refused-*")]


def test_a_wrong_pin_in_the_environment_is_tried_once_until_somebody_says_that_it_is_right(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    token.add("targets")
    token.faulty()
    monkeypatch.setenv("FLEET_PIN", PIN)
    text = token.uri("targets").replace(f"file:{token.pin}", "env:FLEET_PIN")
    key = reference.found(uri.parse(text), token.folder)
    assert isinstance(key, HeldEd25519) and key.sign(b"1")
    monkeypatch.setenv("FLEET_PIN", "11111111")
    for _ in range(2):
        forget(monkeypatch)
        with pytest.raises(TokenError, match="the PIN in FLEET_PIN") as said:
            key.sign(b"2")
    assert token.logins == 3, "twice the right one, once the wrong one"
    (mark,) = token.folder.glob("refused-*")
    assert f"remove {mark}" in said.value.hint and "11111111" not in mark.read_text()
    monkeypatch.setenv("FLEET_PIN", PIN)
    forget(monkeypatch)
    mark.unlink()
    assert key.sign(b"3")


def test_the_last_try_is_left_to_people_and_a_locked_token_is_not_asked(token: Token) -> None:
    token.add("targets")
    key_of(token)
    token.faulty()
    wrong = token.folder / "logins.wrong"
    wrong.write_text("..")
    with pytest.raises(TokenError, match="the next wrong PIN locks the token") as said:
        sign(token)
    assert "by hand" in said.value.hint and token.logins == 0
    wrong.write_text("...")
    with pytest.raises(TokenError, match="the token is locked") as said:
        sign(token)
    assert "unlock it" in said.value.hint and token.logins == 0
    wrong.unlink()
    assert sign(token)


def test_a_token_that_is_away_says_so_and_signs_when_it_is_back(token: Token) -> None:
    token.add("targets")
    key_of(token)
    token.away()
    with pytest.raises(TokenError, match="targets in token fleet cannot sign: the token is not there") as said:
        sign(token)
    assert "the next pass" in said.value.hint
    token.back()
    assert sign(token)
    token.module = str(token.folder / "no-such.so")
    with pytest.raises(TokenError, match="its module cannot be loaded"):
        sign(token)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["FAULT_HANG", "FAULT_CRASH"])
def test_a_module_that_hangs_or_crashes_costs_one_deadline_and_leaves_no_process(
    token: Token, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token.add("targets")
    key_of(token)
    sound = token.module
    token.faulty(fault)
    deadline = session.DEADLINE
    monkeypatch.setattr(session, "DEADLINE", 5.0)
    with pytest.raises(TokenError, match="its module crashed, or gave no answer within 5 s") as said:
        sign(token)
    assert "asked again after 2 minutes" in said.value.hint and token.logins == 1
    for _ in range(20):
        with pytest.raises(TokenError, match="did not answer a moment ago"):
            sign(token)
    assert token.logins == 1, "not once for each signature"
    assert not [line for line in processes() if str(session.CHILD) in line]
    monkeypatch.setattr(time, "monotonic", lambda later=time.monotonic() + session.PAUSE: later)
    with pytest.raises(TokenError, match="gave no answer"):
        sign(token)
    assert token.logins == 2
    token.module = sound
    monkeypatch.setattr(session, "DEADLINE", deadline)
    assert sign(token), "another module is another token"


def processes() -> list[str]:
    done = subprocess.run(["ps", "-o", "args", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if sys.executable in line]


@pytest.mark.parametrize(("label", "kind"), [("targets", "ed25519"), ("db", "rsa"), ("root", "p256")])
def test_a_signature_that_does_not_hold_never_comes_out(token: Token, label: str, kind: str) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    how = {"ed25519": (), "rsa": (PKCS1v15(), SHA256()), "p256": (ECDSA(SHA256()),)}[kind]
    token.add(label, kind)
    key = key_of(token, label)
    signature = key.sign(b"data", *how)  # type: ignore[call-arg]
    key.public_key().verify(signature, b"data", *how)
    token.faulty("FAULT_GARBAGE")
    with pytest.raises(TokenError, match=f"{label} in token fleet made a signature that does not hold"):
        key_of(token, label).sign(b"data", *how)  # type: ignore[call-arg]


def test_another_key_under_the_same_name_is_not_taken_for_the_one_we_know(token: Token) -> None:
    token.add("targets")
    file = token.folder / "keys" / "targets.pem"
    known = key_of(token).public_key()
    token.add("other")
    keys.write(file, file.read_bytes().replace(b"object=targets", b"object=other"))
    key = reference.read(file, file.read_bytes())
    assert isinstance(key, HeldEd25519) and key.public_key() == known
    with pytest.raises(TokenError, match="does not hold"):
        key.sign(b"data")


def test_what_a_token_has_not_or_has_twice_is_said(token: Token) -> None:
    token.add("targets")
    for label in ("twice", "twice"):
        token.add(label)
    with pytest.raises(TokenError, match="no such private key"):
        reference.found(uri.parse(token.uri("nobody")))
    with pytest.raises(TokenError, match="several keys in the token have that name"):
        reference.found(uri.parse(token.uri("twice")))
    assert reference.found(uri.parse(token.uri("twice").replace("object=", "id=%02;object=")))
    bare = token.uri("targets").partition("&")[0]
    with pytest.raises(TokenError, match="asks for a PIN") as said:
        reference.found(uri.parse(bare))
    assert "pin-source=file:" in said.value.hint


def test_no_pin_is_in_logs_errors_arguments_or_the_environment_of_a_child(
    token: Token, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The module is one that prints it wherever it can, as those do that trace calls."""
    token.add("targets")
    key_of(token)
    token.faulty("FAULT_LOUD")
    monkeypatch.setenv("FLEET_PIN", PIN)
    token.pin.unlink()
    started: list[str] = []
    popen = subprocess.Popen

    def seen(words: list[str], **options: object) -> "subprocess.Popen[bytes]":
        started.extend([*words, str(options["env"])])
        return popen(words, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(process.subprocess, "Popen", seen)
    text = token.uri("targets").replace(f"file:{token.pin}", "env:FLEET_PIN")
    with structlog.testing.capture_logs() as logs:
        key = reference.found(uri.parse(text), token.folder)
        assert isinstance(key, HeldEd25519) and key.sign(b"data")
        monkeypatch.setenv("FLEET_PIN", f"{PIN}0")
        with pytest.raises(TokenError) as said:
            key.sign(b"data")
    out, err = capfd.readouterr()
    error = said.value
    words = [*started, repr(logs), out, err, error.message, error.hint, repr(error.__cause__), key.text.decode()]
    assert started and token.logins == 3 and not [each for each in words if PIN in each]


def test_a_key_in_a_token_gives_nothing_else_away(token: Token) -> None:
    token.add("targets")
    key = key_of(token)
    assert isinstance(key, HeldEd25519)
    with pytest.raises(SignError, match="lies in a token"):
        key.private_bytes_raw()
    assert b"PRIVATE" not in key.text


def test_a_reference_without_its_public_half_is_refused_with_its_line(token: Token) -> None:
    file = token.folder / "targets.pem"
    keys.write(file, token.uri("targets").encode() + b"\n")
    with pytest.raises(SignError, match=f"^{file}:2: the public half"):
        keys.load_key(file)


def test_where_the_library_is_missing_the_way_out_is_said(token: Token, tmp_path: Path) -> None:
    token.add("targets")
    blind = tmp_path / "child.py"
    blind.write_text(f"import sys\nsys.modules['pkcs11'] = None\n{session.CHILD.read_text()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "CHILD", blind)
        with pytest.raises(TokenError, match="not installed") as said:
            reference.found(uri.parse(token.uri("targets")))
    assert "as a whole" in said.value.hint
