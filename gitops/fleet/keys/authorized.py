"""Lines of `keys/authorized_keys` by which sshd lets nobody in, which it says to nobody. Pure.

In: the file. Out: sentences, for whoever is about to commit: it stops no deployment, as some of the lines may be right.
Rules: sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, a kind of key, the key in base64, a comment; the key says its kind
once more (RFC 4253, 6.6), and is whole.

    [*unread(b"ssh-ed25519 AAAA ada\\n")]    # ["keys/authorized_keys:1: sshd reads no key here, and lets nobody in .."]
"""

import base64
import binascii
import re
from collections.abc import Iterator

PATH = "keys/authorized_keys"
MOST = 20
"""Lines that are told."""
PARTS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""Kinds of keys, and how many strings or numbers one is made of, its kind included."""
_OPTIONS = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+')
"""In quotes there may be spaces."""


def unread(data: bytes) -> Iterator[str]:
    """A sentence for each line, and one for those that there is no room for."""
    lines = enumerate(data.decode(errors="replace").splitlines(), 1)
    wrong = [number for number, line in lines if line.strip() and not line.lstrip().startswith("#") and not _key(line)]
    for number in wrong[:MOST]:
        yield f"{PATH}:{number}: sshd reads no key here, and lets nobody in by it: paste the one line of NAME.pub whole"
    if wrong[MOST:]:
        yield f"{PATH}: {len(wrong) - MOST} more lines hold no key that sshd reads"


def _key(line: str) -> bool:
    words = line.split(maxsplit=2)
    if words[0] not in PARTS and (options := _OPTIONS.match(line.strip())):
        words = line.strip()[options.end() :].split(maxsplit=2)
    return len(words) > 1 and words[0] in PARTS and _is_whole(words[1], words[0])


def _is_whole(text: str, kind: str) -> bool:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    parts, at = list[bytes](), 0
    while at < len(blob) and len(parts) <= PARTS[kind]:
        size = int.from_bytes(blob[at : at + 4])
        parts.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    return at == len(blob) and len(parts) == PARTS[kind] and parts[0] == kind.encode()
