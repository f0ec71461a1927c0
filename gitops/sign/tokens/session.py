"""A question for a token, asked by a process of its own.

In: which key, what to sign. Out: what the token says, or why not. Rules: a module that hangs is ended with its process
after `DEADLINE`, and is not asked again for `PAUSE`, so that a pass waits once, not for each signature; a PIN that was
refused is not tried again before it is another one (the token would lock), also by the process that comes after this
one: that is noted in the folder of the key, by what the PIN's file looks like and nothing of what is in it; the PIN
goes through a pipe, and no word of the module's goes anywhere.

    ask(uri, Question("sign", data), Path("/etc/toweros/keys"))["signature"]
"""

import contextlib
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from gitops.errors import ProcessError, TokenError
from gitops.process import run
from gitops.sign.tokens.uri import NO_PIN, Uri

CHILD = Path(__file__).with_name("child.py")
DEADLINE = 20.0
"""Seconds for one signature, with a login: smart cards take some."""
PAUSE = 120.0
"""Seconds for which a token that hung is not asked."""
PASSED = ("SOFTHSM2_CONF", "OPENSC_CONF", "YUBIHSM_PKCS11_CONF", "CS_PKCS11_R3_CFG", "P11_KIT_SERVER_ADDRESS")
"""Variables by which modules find what is theirs."""
SAID = {
    "library": ("the program for tokens is not installed", "install TowerOS again, as a whole"),
    "module": ("its module cannot be loaded", "is `module-path` right, and its package installed?"),
    "gone": ("the token is not there", "plug it in; what needs its keys goes on with the next pass"),
    "several": ("several tokens have that name", "name one by `serial=`"),
    "locked": ("the token is locked", "unlock it by its maker's program; no PIN was tried"),
    "last-try": ("the next wrong PIN locks the token", "log in once by hand; the last try is left to people"),
    "no-pin": ("the token asks for a PIN", NO_PIN),
    "no-key": ("there is no such private key in the token", "look at `object=` and `id=`"),
    "several-keys": ("several keys in the token have that name", "name one by `id=`"),
    "no-public": ("the token has no public half of the key", "import its public half too, under the same name"),
    "kind": ("the key is neither Ed25519, nor P-256, nor RSA", "make another one"),
}


@dataclass(frozen=True)
class Question:
    """`public`: the public half; or `sign`, with what."""

    do: str
    data: bytes = b""


@dataclass
class _Token:
    """What this process remembers of a token and a PIN."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    silent_until: float = 0.0
    """Seconds of the monotonic clock."""
    refused: str = ""


_tokens: dict[tuple[str, ...], _Token] = {}


def ask(uri: Uri, question: Question, memory: Path | None = None) -> dict[str, Any]:
    """What the token answers. `memory`: the folder in which a refused PIN is noted.

    Raises:
        TokenError: the token is away, hangs or refuses; the message names the key, and the hint what to do.
        SignError: the PIN cannot be read.
    """
    name = (str(uri.module), uri.token, uri.serial, str(uri.pin))
    token = _tokens.setdefault(name, _Token())
    mark = memory / f"refused-{sha256(repr(name).encode()).hexdigest()[:16]}.pin" if memory and uri.pin else None
    with token.lock:
        pin = uri.pin.read() if uri.pin else None
        stamp = uri.pin.stamp if uri.pin else ""
        if stamp and stamp in (token.refused, _noted(mark)):
            raise _refused(uri, mark, "was refused before, and is not tried again")
        if time.monotonic() < token.silent_until:
            raise _failed(uri, "the token did not answer a moment ago", _silent())
        answer = _answer(uri, question, pin, token)
        if answer.get("error") == "refused":
            token.refused = stamp
            if mark:
                with contextlib.suppress(OSError):  # then this process knows it, and the next tries once
                    mark.write_text(stamp)
            raise _refused(uri, mark, "is refused by the token")
        if "error" not in answer:
            token.refused = ""
            if mark and mark.exists():
                mark.unlink()
            return dict(answer["ok"])
    fails = (f"the token fails ({answer.get('kind', 'no answer')})", "look at the token and its module")
    message, hint = SAID.get(str(answer["error"]), fails)
    raise _failed(uri, message, hint)


def _answer(uri: Uri, question: Question, pin: str | None, token: _Token) -> dict[str, Any]:
    words: dict[str, Any] = {"module": str(uri.module), "token": uri.token, "serial": uri.serial, "label": uri.label}
    words |= {"id": uri.id.hex(), "pin": pin, "do": question.do, "data": question.data.hex()}
    try:
        output = run(
            [sys.executable, "-I", CHILD],
            stdin=json.dumps(words).encode(),
            env={name: os.environ[name] for name in PASSED if name in os.environ},
            timeout=DEADLINE,
        )
        answer = json.loads(output)
    except (ProcessError, ValueError) as error:
        if isinstance(error, ProcessError) and error.code is None:
            token.silent_until = time.monotonic() + PAUSE
            raise _failed(uri, f"its module crashed, or gave no answer within {DEADLINE:.0f} s", _silent()) from None
        return {"error": "other", "kind": "it gave no answer"}
    return answer if isinstance(answer, dict) else {"error": "other"}


def _noted(mark: Path | None) -> str:
    try:
        return mark.read_text() if mark else ""
    except OSError:
        return ""


def _refused(uri: Uri, mark: Path | None, words: str) -> TokenError:
    assert uri.pin
    mend = f"write the right PIN into {uri.pin}"
    if uri.pin.file is None:
        mend = f"set {uri.pin} right, start again" + (f", and remove {mark}" if mark else "")
    return _failed(uri, f"the PIN in {uri.pin} {words}", f"{mend}: a token locks after a few that are wrong")


def _failed(uri: Uri, message: str, hint: str) -> TokenError:
    return TokenError(f"{uri} cannot sign: {message}", hint=hint)


def _silent() -> str:
    return f"look at the token and its module; it is asked again after {PAUSE / 60:.0f} minutes"
