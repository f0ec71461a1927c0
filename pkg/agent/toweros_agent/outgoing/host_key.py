"""The SSH host key of this box goes into its report; the certificate that the fleet's authority makes of it comes back.

In: the public key that sshd made on STATE (pkg/sshd), the header of an answer to a report. Out: `ssh-cert.pub` beside
the box's own key, where sshd looks for it. Rules: a certificate for another key is not kept; what is kept is no secret,
and proves itself to whoever has the authority's key: that of a liar costs a question when somebody logs in.
"""

import base64
import re
import struct
from pathlib import Path

from toweros_agent.outgoing.identity import write

PUBLIC = Path("ssh", "ssh_host_ed25519_key.pub")
CERTIFICATE = "ssh-cert.pub"
KEY_LINE = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}")
"""51 bytes (RFC 8709, 4) in base64."""
CERTIFICATE_LINE = re.compile(r"ssh-ed25519-cert-v01@openssh\.com ([A-Za-z0-9+/]{100,4000}={0,2})")


class HostKey:
    """`state` is STATE, `identity` the folder of the box's own key."""

    def __init__(self, state: Path, identity: Path) -> None:
        self.state, self.place = state, identity / CERTIFICATE

    @property
    def public(self) -> str:
        """`ssh-ed25519 AAAA...`; "" while there is none, or none that lasts."""
        try:
            with (self.state / PUBLIC).open("rb") as file:
                words = file.read(1000).decode("ascii").split()
        except (OSError, ValueError):
            return ""
        line = " ".join(words[:2])
        return line if KEY_LINE.fullmatch(line) else ""

    def keep(self, certificate: str) -> None:
        """Raises `OSError` when it cannot be written."""
        line = certificate.encode() + b"\n"
        if not self._ours(certificate) or (self.place.is_file() and self.place.read_bytes() == line):
            return
        write(self.place, line)

    def _ours(self, certificate: str) -> bool:
        """Is it for this very key? (PROTOCOL.certkeys: type, nonce, key, each with its length before it.)"""
        found, public = CERTIFICATE_LINE.fullmatch(certificate), self.public
        try:
            data = base64.b64decode(found[1], validate=True) if found else b""
            parts: list[bytes] = []
            while data and len(parts) < 3:
                (length,) = struct.unpack_from(">I", data)
                parts.append(data[4 : 4 + length])
                data = data[4 + length :]
        except (ValueError, struct.error):
            return False
        return bool(public) and parts[2:] == [base64.b64decode(public.split()[1])[-32:]]
