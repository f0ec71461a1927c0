"""Seals a few bytes with the TPM and opens them again: a program of its own, as the kernel holds whoever asks a TPM
that does not answer for minutes, and nothing ends that.

    python chip.py FD seal|open      FD: the device, opened; stdin and stdout: the secret, and what it is sealed in
    python chip.py FD who            a policy; the public areas of the endorsement key, and of an object with the policy
    python chip.py FD clear          makes the TPM forget its seed (TPM2_Clear), where nobody gave that a password
    python chip.py FD prove          the policy with a credential after it; the secret in that

Exit codes: 0; `CLOSED`: it is not this TPM's, or it was cleared since; 1: anything else, in words on stderr. Rules:
what is sealed hangs on this TPM alone, on no PCR and no password; nothing stays in the TPM; no answer is believed
before its tag, sizes and code are right. Formats: TPM 2.0 Library Specification, Parts 2 and 3; the key above it is
the storage root key (ECC P-256) of TCG's TPM v2.0 Provisioning Guidance, 7.5.1, made anew from the TPM's seed.
"""

import contextlib
import os
import struct
import sys
from collections.abc import Sequence

CLOSED = 3
MAX_DATA = 4096
"""Bytes of an answer, or of what is sealed: a TPM seals 128 at most (MAX_SYM_DATA)."""
PLAIN, WITH_SESSIONS = 0x8001, 0x8002
CREATE_PRIMARY, CREATE, LOAD, UNSEAL, FLUSH, CLEAR = 0x131, 0x153, 0x157, 0x15E, 0x165, 0x126
OWNER, NOBODY, LOCKOUT, ENDORSEMENT = 0x40000001, 0x40000007, 0x4000000A, 0x4000000B
START_SESSION, POLICY_SECRET, ACTIVATE = 0x176, 0x151, 0x147
PASSWORD = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
NO_PASSWORD = struct.pack(">I", len(PASSWORD)) + PASSWORD
"""The authorization area of one empty password."""
OBJECT_MEMORY = 0x902
ABOUT_A_PARAMETER = 0xC0
"""In a code of format 1, as of what was to be loaded and is not this TPM's (TPM_RC_INTEGRITY)."""
TRANSIENT = 0x80000000
SLOTS = 8
"""More objects than any TPM keeps at a time."""
STORAGE = struct.pack(">HHIHHHHHHHH32xH32x", 0x23, 0xB, 0x30472, 0, 6, 128, 0x43, 0x10, 3, 0x10, 32, 32)
"""ECC, SHA-256, fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted decrypt, no policy,
AES-128-CFB, no scheme, P-256, no KDF, x and y of 32 zeros."""
DATA = struct.pack(">HHIHHH", 8, 0xB, 0x452, 0, 0x10, 0)
"""KEYEDHASH, SHA-256, fixedTPM fixedParent userWithAuth noDA, no policy, no scheme, nothing unique."""


ECC = struct.pack(">HHHHHHH32xH32x", 6, 128, 0x43, 0x10, 3, 0x10, 32, 32)
"""AES-128-CFB, no scheme, P-256, no KDF, x and y of 32 zeros."""
DIGEST = 32
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
EK = struct.pack(">HHIH", 0x23, 0xB, 0x300B2, DIGEST) + EK_POLICY + ECC
"""TCG's endorsement key: EK Credential Profile 2.5, B.4.4 (L-2)."""
BOUND = struct.pack(">HHIH", 0x23, 0xB, 0x30472, DIGEST)
"""As STORAGE, with a policy: its name is the machine's."""


class CodeError(Exception):
    """The TPM's own code says no."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the TPM refuses with code {code:#x}")
        self.code = code


class ClosedError(Exception):
    """What is sealed is damaged, of another TPM, or of this one before it was cleared."""


class Chip:
    """The TPM behind an open device; `flush` when it is done.

    Raises `OSError`, `CodeError`, and `ValueError` or `struct.error` for an answer that is none.
    """

    def __init__(self, device: int) -> None:
        self.device, self._loaded = device, list[int]()

    def seal(self, secret: bytes) -> bytes:
        parameters = _sized(_sized(b"") + _sized(secret)) + _sized(DATA) + _sized(b"") + bytes(4)
        answer = self._run(CREATE, [self._storage()], parameters)
        private, rest = _take(answer)
        return _sized(private) + _sized(_take(rest)[0])

    def open(self, sealed: bytes) -> bytes:
        """Raises also `ClosedError`."""
        try:
            private, rest = _take(sealed)
            parameters = _sized(private) + _sized(_take(rest)[0])
        except (ValueError, struct.error) as error:
            raise ClosedError(f"what is sealed is damaged: {error}") from error
        parent = self._storage()
        try:
            handle = self._load(LOAD, parent, parameters)
        except CodeError as error:
            if error.code & ABOUT_A_PARAMETER != ABOUT_A_PARAMETER:
                raise
            raise ClosedError(f"it was sealed by another TPM, or this one was cleared since: {error}") from error
        return _take(self._run(UNSEAL, [handle], b""))[0]

    def clear(self, _: bytes) -> bytes:
        return self._run(CLEAR, [LOCKOUT], b"")

    def who(self, policy: bytes) -> bytes:
        """The public areas of the endorsement key and of the object with this policy, each as a TPM2B."""
        areas = (self._primary(ENDORSEMENT, EK)[1], self._primary(OWNER, BOUND + policy + ECC)[1])
        return b"".join(map(_sized, areas))

    def prove(self, policy: bytes, credential: bytes) -> bytes:
        """The secret in a credential for this TPM's endorsement key and that object (TPM2_ActivateCredential)."""
        bound, _ = self._primary(OWNER, BOUND + policy + ECC)
        endorsement, _ = self._primary(ENDORSEMENT, EK)
        fresh = _sized(bytes(16)) + _sized(b"") + struct.pack(">BHH", 1, 0x10, 0xB)
        (session,) = struct.unpack_from(">I", self._exchange(START_SESSION, [NOBODY, NOBODY], fresh, True, auth=b""))
        self._loaded.append(int(session))
        self._run(POLICY_SECRET, [ENDORSEMENT, session], _sized(b"") * 3 + bytes(4))
        by_policy = PASSWORD + struct.pack(">IHBH", session, 0, 1, 0)
        auth = struct.pack(">I", len(by_policy)) + by_policy
        return _take(self._exchange(ACTIVATE, [bound, endorsement], credential, False, auth=auth))[0]

    def _primary(self, hierarchy: int, area: bytes) -> tuple[int, bytes]:
        """A key that is made anew from the TPM's seed: handle and public area."""
        parameters = _sized(bytes(4)) + _sized(area) + _sized(b"") + bytes(4)
        made = self._run(CREATE_PRIMARY, [hierarchy], parameters, handle=True)
        (handle,) = struct.unpack_from(">I", made)
        self._loaded.append(int(handle))
        return int(handle), _take(made[4:])[0]

    def flush(self) -> None:
        """Leave nothing behind."""
        while self._loaded:
            self._drop(self._loaded.pop())

    def _storage(self) -> int:
        return self._load(CREATE_PRIMARY, OWNER, _sized(bytes(4)) + _sized(STORAGE) + _sized(b"") + bytes(4))

    def _load(self, code: int, parent: int, parameters: bytes) -> int:
        """What makes an object; its handle."""
        (handle,) = struct.unpack_from(">I", self._run(code, [parent], parameters, handle=True))
        self._loaded.append(handle)
        return int(handle)

    def _drop(self, handle: int) -> None:
        with contextlib.suppress(OSError, CodeError, ValueError, struct.error):
            self._exchange(FLUSH, [], struct.pack(">I", handle), False)

    def _run(self, code: int, handles: Sequence[int], parameters: bytes, *, handle: bool = False) -> bytes:
        """One command; its parameters' values, with `handle` after the handle that comes before them."""
        try:
            return self._exchange(code, handles, parameters, handle)
        except CodeError as error:
            if error.code != OBJECT_MEMORY:
                raise
        # Left behind by somebody who was stopped: only one at a time has the device.
        for left in {TRANSIENT + number for number in range(SLOTS)} - {*self._loaded}:
            self._drop(left)
        return self._exchange(code, handles, parameters, handle)

    def _exchange(
        self, code: int, handles: Sequence[int], parameters: bytes, handle: bool, *, auth: bytes = NO_PASSWORD
    ) -> bytes:
        tag, head = (WITH_SESSIONS, auth) if handles and auth else (PLAIN, b"")
        body = b"".join(struct.pack(">I", each) for each in handles) + head + parameters
        os.write(self.device, struct.pack(">HII", tag, 10 + len(body), code) + body)
        answer = os.read(self.device, MAX_DATA)
        if len(answer) < 10:
            raise ValueError("the TPM's answer ends short")
        answered, size, result = struct.unpack_from(">HII", answer)
        if size != len(answer) or answered not in (PLAIN, WITH_SESSIONS):
            raise ValueError("the TPM's answer is of another size or kind than it says")
        if result:
            raise CodeError(result)
        if answered != tag:
            raise ValueError("the TPM's answer is of another kind than was asked for")
        if tag == PLAIN:
            return answer[10:]
        first, at = answer[10 : 14 if handle else 10], 14 if handle else 10
        (length,) = struct.unpack_from(">I", answer, at)
        values = answer[at + 4 : at + 4 + length]
        if len(values) != length:
            raise ValueError("the TPM's answer has less in it than it says")
        return first + values


def _sized(data: bytes) -> bytes:
    """A TPM2B."""
    return struct.pack(">H", len(data)) + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """The TPM2B at the beginning, and the rest."""
    (length,) = struct.unpack_from(">H", data)
    if len(data) < 2 + length:
        raise ValueError("it ends short")
    return data[2 : 2 + length], data[2 + length :]


def main(device: int, verb: str) -> int:
    chip, data = Chip(device), sys.stdin.buffer.read(MAX_DATA)
    try:
        work = {"seal": chip.seal, "open": chip.open, "who": chip.who, "clear": chip.clear}
        made = work[verb](data) if verb in work else chip.prove(data[:DIGEST], data[DIGEST:])
    except (OSError, CodeError, ClosedError, ValueError, struct.error) as error:
        sys.stderr.write(str(error))
        return CLOSED if isinstance(error, ClosedError) else 1
    finally:
        chip.flush()
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
