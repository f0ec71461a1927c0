"""The TPM of a machine without a name proves which one it is.

In: the machine's key, the TPM, what the server asks (the header `toweros-challenge`, base64). Out: members of the
report's `hardware`. Rules: what is asked is opened only with an object that is made of this machine's own key, so that
a credential for another machine is of no use here; a TPM that is missing, slow or refuses costs nothing but the proof.
"""

import base64
import struct
from hashlib import sha256

from toweros_agent.nouns import Json
from toweros_agent.tpm.asking import NoTpmError, Tpm, TpmError

DOMAIN = b"toweros machine "
MAX_CHALLENGE = 1000


class Endorsement:
    """What one machine's TPM says of itself; asked once a boot, and once for each thing that is asked of it."""

    def __init__(self, tpm: Tpm, public: str) -> None:
        self.tpm, self._policy = tpm, sha256(DOMAIN + bytes.fromhex(public)).digest()
        self._answered, self._words = "", self._who()

    def words(self, challenge: str) -> Json:
        """`{"ek": ..., "bound": ..., "proof": ...}`; nothing without a TPM."""
        if self._words and challenge and challenge != self._answered:
            self._answered = challenge
            self._words |= self._prove(challenge)
        return self._words

    def _who(self) -> Json:
        try:
            data = self.tpm.who(self._policy)
            (length,) = struct.unpack_from(">H", data)
        except (NoTpmError, TpmError, struct.error):
            return {}
        areas = (data[2 : 2 + length], data[4 + length :])
        return dict(zip(("ek", "bound"), (base64.b64encode(each).decode() for each in areas), strict=True))

    def _prove(self, challenge: str) -> Json:
        try:
            credential = base64.b64decode(challenge[:MAX_CHALLENGE], validate=True)
            return {"proof": self.tpm.prove(self._policy, credential).hex()}
        except (NoTpmError, TpmError, ValueError):
            return {}
