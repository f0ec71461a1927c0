"""What may be said of a key in a token: all of it is understood, and none of it is a PIN."""

from pathlib import Path

import pytest

from gitops.errors import SettingsError, SignError
from gitops.settings import load
from gitops.sign import keys
from gitops.sign.tokens import uri
from tests.kit.console import toweros
from tests.kit.published import PASSPHRASE, shared_keys

MODULE = "module-path=/usr/lib/softhsm/libsofthsm2.so"
GOOD = f"pkcs11:token=the%20fleet;object=db;id=%01%ff?{MODULE}&pin-source=file:///run/pin"
SECRET = "48151623"


def test_a_uri_says_module_token_key_and_where_the_pin_is() -> None:
    said = uri.parse(GOOD)
    assert (said.token, said.label, said.id, said.module) == (
        "the fleet", "db", b"\x01\xff", Path("/usr/lib/softhsm/libsofthsm2.so"),
    )  # fmt: skip
    assert said.pin and said.pin.file == Path("/run/pin") and str(said) == "db in token the fleet"
    named = uri.parse(f"pkcs11:serial=12ab;id=%01?{MODULE}&pin-source=env:FLEET_PIN")
    assert named.pin and named.pin.variable == "FLEET_PIN" and not named.pin.file


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"pkcs11:token=fleet;object=db?{MODULE}&pin-value={SECRET}", "pin-value"),
        (f"pkcs11:pin-value={SECRET};token=fleet;object=db?{MODULE}", "pin-value"),
        (f"pkcs11:token=fleet;object=db?pin-source={SECRET}&{MODULE}", "pin-source"),
        (f"pkcs11:token=fleet;object=db?{MODULE}&pin-source=file:pin", "pin-source"),
        (f"pkcs11:token=fleet;object=db?{MODULE}&pin-source=|echo {SECRET}", "pin-source"),
        (f"pkcs11:token=fleet;object=db?{MODULE}&pin-source=env:A B", "pin-source"),
        ("pkcs11:token=fleet;object=db", "module-path"),
        ("pkcs11:token=fleet;object=db?module-path=libsofthsm2.so", "module-path"),
        (f"pkcs11:object=db?{MODULE}", "names a token"),
        (f"pkcs11:token=fleet?{MODULE}", "a key in it"),
        (f"pkcs11:token=fleet;object=db;slot-id=1?{MODULE}", "`slot-id`"),
        (f"pkcs11:token=fleet;object=db;{SECRET}?{MODULE}", "a part"),
        (f"pkcs11:token=fleet;object=db;hunter?{MODULE}", "a part"),
        (f"pkcs11:token=fleet;token=other;object=db?{MODULE}", "`token`"),
        (f"pkcs11:token=;object=db?{MODULE}", "`token`"),
        (f"pkcs11:token=fl%0aeet;object=db?{MODULE}", "printable"),
        (f"pkcs11:token=fleet;object=db;type=public?{MODULE}", "`type`"),
        (f"PKCS11:token=fleet;object=db?{MODULE}", "no PKCS#11 URI"),
    ],
)
def test_a_uri_with_a_pin_or_with_what_is_not_understood_is_refused_and_not_repeated(text: str, problem: str) -> None:
    with pytest.raises(SignError) as refused:
        uri.parse(text, "db.key:1")
    assert problem in refused.value.message and refused.value.message.startswith("db.key:1: ")
    said = refused.value.message + refused.value.hint
    assert SECRET not in said and "hunter" not in said and refused.value.hint


def test_a_pin_in_a_key_file_or_among_the_settings_is_refused_with_file_and_line(tmp_path: Path) -> None:
    text = f"pkcs11:token=fleet;object=db?{MODULE}&pin-value={SECRET}"
    key = tmp_path / "targets.pem"
    keys.write(key, f"{text}\n".encode())
    with pytest.raises(SignError, match=f"^{key}:1: `pin-value` stands in") as refused:
        keys.load_key(key)
    assert "pin-source=file:" in refused.value.hint and SECRET not in str(refused.value.args)
    config = tmp_path / "toweros.toml"
    config.write_text(f'repository = "/srv/fleet"\n\nssh_key = "{text}"\n')
    with pytest.raises(SettingsError, match=f"^{config}:3: ssh_key: ") as wrong:
        load(config)
    assert wrong.value.hint and SECRET not in wrong.value.message + wrong.value.hint


def test_a_pin_in_the_environment_of_a_setting_or_on_the_command_line_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"pkcs11:token=fleet;object=db?{MODULE}&pin-value={SECRET}"
    monkeypatch.setenv("TOWEROS_SSH_KEY", text)
    with pytest.raises(SettingsError, match="ssh_key") as wrong:
        load()
    assert SECRET not in wrong.value.message
    monkeypatch.delenv("TOWEROS_SSH_KEY")
    (tmp_path / "pass").write_bytes(PASSPHRASE)
    asked = toweros("keys", "rotate", "targets", shared_keys(), "--key", text, "--passphrase-file", tmp_path / "pass")
    assert isinstance(asked.exception, SignError) and "--key: `pin-value`" in asked.exception.message
    assert SECRET not in asked.output + str(asked.exception)


def test_a_pin_that_others_may_read_or_that_is_none_is_not_used(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    source = uri.PinSource(file=pin)
    with pytest.raises(SignError, match="No such file"):
        source.read()
    pin.write_text(f"{SECRET}\n")
    pin.chmod(0o640)
    with pytest.raises(SignError, match="open to others"):
        source.read()
    pin.chmod(0o600)
    assert source.read() == SECRET
    pin.write_text("\n")
    with pytest.raises(SignError, match="holds no PIN"):
        source.read()
    with pytest.raises(SignError, match="TOWEROS_NO_SUCH_PIN is not in the environment"):
        uri.PinSource(variable="TOWEROS_NO_SUCH_PIN").read()
