"""The process that talks to a token. It is started by `session`, by its path, and knows nothing else of ours.

In: a question on stdin (JSON): which key, the PIN, what to sign. Out: an answer on stdout (JSON): `ok`, or `error` with
one word. Rules: the module, which is a stranger's code, gets neither our stdout nor our stderr: some print the PIN
where they trace calls; one login, whatever it says; the last try before a token locks is left to people.
"""

import contextlib
import json
import os
import resource
import sys
from typing import Any

Answer = dict[str, Any]
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""SHA-256 (RFC 8017, 9.2): what every token takes by the plain mechanism."""


class FailedError(Exception):
    """With the word that `session` knows."""


def main() -> None:
    """Answer one question."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    question = json.load(sys.stdin)
    answers, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        answer: Answer = {"ok": carry_out(question)}
    except FailedError as error:
        answer = {"error": str(error)}
    except Exception as error:  # its words may be the module's, with anything in them
        answer = {"error": "other", "kind": type(error).__name__}
    with os.fdopen(answers, "w") as stream_:
        json.dump(answer, stream_)
    os._exit(0)  # not by the module's own end, which may hang


def carry_out(question: Answer) -> Answer:
    """Log in, find the key, and use it."""
    try:
        import pkcs11
    except ImportError:
        raise FailedError("library") from None
    try:
        library = pkcs11.lib(question["module"])
    except (RuntimeError, OSError, pkcs11.PKCS11Error):
        raise FailedError("module") from None
    with session_of(token_of(library, question), question["pin"]) as session:
        key = key_of(session, pkcs11.ObjectClass.PRIVATE_KEY, question)
        if question["do"] == "sign":
            return {"signature": sign(key, bytes.fromhex(question["data"])).hex()}
        return public(session, key, question)


def token_of(library: Any, question: Answer) -> Any:
    """The one that was named."""
    import pkcs11

    named = {"token_label": question["token"] or None, "token_serial": question["serial"].encode() or None}
    try:
        found = list(library.get_tokens(**named))
    except pkcs11.PKCS11Error:
        raise FailedError("gone") from None
    if len(found) != 1:
        raise FailedError("several" if found else "gone")
    return found[0]


def session_of(token: Any, pin: str | None) -> Any:
    """Logged in. What the token says of its PIN goes before."""
    import pkcs11

    flags = pkcs11.TokenFlag
    if token.flags & flags.USER_PIN_LOCKED:
        raise FailedError("locked")
    if pin is None and token.flags & flags.LOGIN_REQUIRED:
        raise FailedError("no-pin")
    if pin is not None and token.flags & flags.USER_PIN_FINAL_TRY:
        raise FailedError("last-try")
    try:
        return token.open(user_pin=pin) if pin is not None else token.open()
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise FailedError("refused") from None
    except pkcs11.PinLocked:
        raise FailedError("locked") from None
    except (pkcs11.TokenNotPresent, pkcs11.DeviceRemoved):
        raise FailedError("gone") from None


def key_of(session: Any, kind: Any, question: Answer) -> Any:
    import pkcs11

    named = {"label": question["label"] or None, "id": bytes.fromhex(question["id"]) or None}
    try:
        return session.get_key(object_class=kind, **named)
    except pkcs11.NoSuchKey:
        raise FailedError("no-key") from None
    except pkcs11.MultipleObjectsReturned:
        raise FailedError("several-keys") from None


def sign(key: Any, data: bytes) -> bytes:
    """A signature over the whole of `data` (Ed25519), or with `data` as the SHA-256 of what is signed."""
    import pkcs11

    if key.key_type == pkcs11.KeyType.RSA:
        return bytes(key.sign(DIGEST_INFO + data, mechanism=pkcs11.Mechanism.RSA_PKCS))
    plain = {pkcs11.KeyType.EC: pkcs11.Mechanism.ECDSA, pkcs11.KeyType.EC_EDWARDS: pkcs11.Mechanism.EDDSA}
    return bytes(key.sign(data, mechanism=plain[key.key_type]))


def public(session: Any, key: Any, question: Answer) -> Answer:
    """The public half, by its numbers."""
    import pkcs11
    from pkcs11 import Attribute

    kind = key.key_type
    if kind == pkcs11.KeyType.RSA:
        return {"kind": "rsa", "n": key[Attribute.MODULUS].hex(), "e": key[Attribute.PUBLIC_EXPONENT].hex()}
    if kind not in (pkcs11.KeyType.EC, pkcs11.KeyType.EC_EDWARDS):
        raise FailedError("kind")
    with contextlib.suppress(FailedError):
        half = key_of(session, pkcs11.ObjectClass.PUBLIC_KEY, question)
        curve = "ec" if kind == pkcs11.KeyType.EC else "ed25519"
        return {"kind": curve, "curve": half[Attribute.EC_PARAMS].hex(), "point": half[Attribute.EC_POINT].hex()}
    raise FailedError("no-public")


if __name__ == "__main__":
    main()
