"""What is signed, beside what we made of the same commit: every layer, kernel, initrd, boot file, and the targets.

In: a box's files as the origin signed them, and the release that we made. Out: the parts that differ. Rules: boot files
are compared by what their signature covers (ADR 23); a part that one side alone has differs.

    compare(published, made)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.assemble.boot.pe import sections, signed_digest
from gitops.errors import AssembleError
from gitops.model import Release, Statement
from gitops.noc.proving.making import Made
from gitops.workflows.provenance import rebuild
from gitops.workflows.provenance.rebuild import Comparison

BOOT_FILES = ("uki.efi", "addon.efi", "loader.efi")
SERVER = "toweros.server="


@dataclass(frozen=True)
class Published:
    """What a box is offered: its release, its boot files as they are signed, and what the metadata state."""

    release: Release
    boot: Mapping[str, bytes]
    stated: Statement

    @property
    def server(self) -> str:
        """Where the origin's addon sends the box."""
        words = line(self.boot["addon.efi"]).split()
        return next((word.removeprefix(SERVER) for word in words if word.startswith(SERVER)), "")


def boot_files(made: Made) -> Mapping[str, bytes]:
    """Our own, by the names of the targets."""
    return dict(zip(BOOT_FILES, (made.assembled.uki, made.assembled.addon, made.assembled.loader), strict=True))


def compare(published: Published, made: Made) -> list[Comparison]:
    """Every part, in the order of what is published.

    Raises:
        AssembleError: a boot file of ours is none.
    """
    ours = {name: data for name, data in boot_files(made).items() if name in published.boot}
    theirs = {name: _covered(data) for name, data in published.boot.items()}
    left = rebuild.parts(published.release) | theirs | _stated(published.stated, made)
    right = rebuild.parts(made.assembled.release) | {name: signed_digest(data) for name, data in ours.items()}
    return rebuild.compare(left, right | _own_statement(made))


def line(addon: bytes) -> str:
    """The words of an addon; "" when it is none."""
    try:
        return sections(addon).get(".cmdline", b"").split(b"\0")[0].decode(errors="replace")
    except AssembleError:
        return ""


def _covered(data: bytes) -> str:
    """What a signature covers of a file that somebody else made."""
    try:
        return signed_digest(data)
    except AssembleError as error:
        return f"none: {error.message}"


def _stated(stated: Statement, made: Made) -> dict[str, str]:
    """What the signed targets say of it. Approvals may have come since: nobody may be named who did not sign."""
    more = sorted({*stated.signers} - {*made.revision.signers})
    said = {"revision": stated.revision, "sequence": stated.sequence, "content": stated.content, "time": stated.time}
    return {f"target's {name}": str(value) for name, value in said.items()} | {"target's signers": ", ".join(more)}


def _own_statement(made: Made) -> dict[str, str]:
    release, revision = made.assembled.release, made.revision
    said = {
        "revision": revision,
        "sequence": revision.sequence,
        "content": release.content.digest,
        "time": revision.time,
        "signers": "",
    }
    return {f"target's {name}": str(value) for name, value in said.items()}
