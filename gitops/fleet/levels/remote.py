"""`remote:` of the fleet, a role or a box: what must be there for anybody to come in by it.

In: the boxes' files, what they say, the tree. Out: mistakes. Rules: a release that lets people in names the authority
that vouches for them; what lets them in is the service `sshd`.
"""

import re
from collections.abc import Iterator, Mapping

from gitops.errors import Problem
from gitops.fleet.cache import text_of
from gitops.fleet.keys.people import USER_CA
from gitops.fleet.overlay import Parsed
from gitops.fleet.schema import BoxFile
from gitops.model import Box, Tree
from gitops.model.access.remote import Kind, allows

SERVICE = "sshd"
LINE = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}( .*)?")
"""51 bytes (RFC 8709, 4) in base64."""
HINT = f"commit what `toweros keys ssh-user-ca` prints as {USER_CA}"


def entrances(boxes: Mapping[str, Parsed[BoxFile]], said: Mapping[str, Box], tree: Tree) -> Iterator[Problem]:
    """What is wrong with how people would come in."""
    asking = [name for name in sorted(said) if allows(said[name].remote, Kind.logs)]
    if not asking:
        return
    if USER_CA in tree.entries():
        yield from _lines(text_of(tree, USER_CA, errors="replace"))
    else:
        yield boxes[asking[0]].problem(("remote",), f"nobody could vouch for people: there is no {USER_CA}", HINT)
    for name in asking:
        if SERVICE not in {each.name for each in said[name].spec.services}:
            hint = "add the service, or say remote: none"
            yield boxes[name].problem(("remote",), f"people come in by the service {SERVICE}, and there is none", hint)


def _lines(text: str) -> Iterator[Problem]:
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#") and not LINE.fullmatch(line):
            yield Problem(USER_CA, number, 1, "this is no Ed25519 key in OpenSSH's form", HINT)
    if not any(LINE.fullmatch(line) for line in lines):
        yield Problem(USER_CA, 1, 1, "there is no key in it", HINT)
