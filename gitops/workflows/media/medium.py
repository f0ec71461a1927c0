"""A release on a medium that starts anywhere: `toweros box image NAME --format iso`, `toweros image --role ROLE`.

In: the settings, a store in which something is published. Out: an ISO (assemble/formats/iso.py). Rules: whoever
has a medium has all that is on it, so it has no key of the box unless that is asked for (ADR 61); without one the box
makes a key at each start, and asks to be let in. A key that is asked for counts as that of a new disk does. The addon
is signed anew: what was published, and `toweros.place=medium`.

    box_medium(settings, store, "demo-1", Path("demo-1.iso"))
    role_medium(settings, store, "vm", Path("vm.iso"))
"""

import re
from dataclasses import replace
from pathlib import Path

from gitops.assemble.boot.pe import Section, add_sections, sections
from gitops.assemble.boot.uki import MAX_CMDLINE
from gitops.assemble.formats.iso import iso_image
from gitops.assemble.formats.staging import Contents
from gitops.builders import builder_of
from gitops.errors import AssembleError, StoreError
from gitops.fleet import load_fleet
from gitops.model import EventType, Existing, Happened, Release
from gitops.model.machines.newcomer import SEQUENCE
from gitops.plan import plan
from gitops.settings import Settings
from gitops.sign import Signer, box
from gitops.store import Store
from gitops.workflows.enrolment import desk
from gitops.workflows.media.tools import building, check_initrd, media_tools
from gitops.workflows.provision import certificates
from gitops.workflows.question import deployed_point
from gitops.workflows.workshop import APPLY, LOADER, Workshop, boot_file

PLACE = "toweros.place=medium"
INSTALL = re.compile(r"[A-Za-z0-9:._/-]{1,100}")
ADDON_STUB = "addonx64.efi.stub"


def box_medium(settings: Settings, store: Store, name: str, out: Path, *, key: bool = False, install: str = "") -> str:
    """Write the medium of a box. `key`: with a new key of its own; returns that key's fingerprint, "" without.
    `install`: onto which disk the box goes (pkg/initrd/settle); "": it runs from the medium.

    Raises:
        StoreError: the box has no published release. AssembleError, BuildError, SignError: see the stages.
    """
    publication, signer = store.offers.published(name), Signer.open(settings.keys, store)
    if publication is None:
        raise StoreError(f"{name} has no published release", hint=APPLY)
    check_initrd(store)
    private, public = box.make() if key else (b"", "")
    disk = store.blobs.read(publication.addon.sha256)
    contents = Contents(
        publication.release,
        store.blobs.read(publication.uki.sha256),
        signer.sign_boot(_addon(store, disk, install)),
        store.blobs.read(publication.loader.sha256)
        if publication.loader
        else signer.sign_boot(boot_file(store, LOADER)),
        box.text_of(private, public) if key else b"",
        certificates(settings.keys),
        disk_addon=disk if install else b"",
    )
    iso_image(out, media_tools(settings, store), store, contents)
    if not key:
        return ""
    desk.let_in(store, name, public)
    words = f"medium with release {publication.release.sequence} and the key {box.fingerprint(public)}"
    store.events.add(name, EventType.NORMAL, Happened.PROVISIONED, words)
    return box.fingerprint(public)


def role_medium(settings: Settings, store: Store, role: str, out: Path, *, install: str = "") -> Release:
    """Write the medium of a role: for any machine that has no name yet, with nothing of any box. Returns what it runs.

    Raises:
        StoreError: nothing is deployed. AssembleError: there is no such role, or its files need what only a box has;
        and see the stages.
    """
    point = deployed_point(store)
    if point is None:
        raise StoreError("nothing is deployed yet, so nothing says what a role runs", hint=APPLY)
    revision, tree = replace(point[0], sequence=SEQUENCE), point[1]
    fleet = load_fleet(tree, settings.platform)
    if role not in fleet.newcomers:
        known = ", ".join(sorted(fleet.newcomers)) or "none"
        hint = f"roles whose boxes need no values of their own: {known}"
        raise AssembleError(f"no machine without a name can have the role {role}", hint=hint)
    signer, toolbox = Signer.open(settings.keys, store), media_tools(settings, store)
    nameless = fleet.newcomers[role]
    alone = replace(fleet, boxes={nameless.name: nameless})
    workshop = Workshop(settings, store, builder_of(settings, store), (revision, tree), alone, listed=False)
    with building(store):
        for step in plan(alone, revision, Existing(store.existing().images)).builds:
            workshop.build(step.subject)
    made = workshop.assemble(nameless.name)
    check_initrd(store)
    unsigned = (made.uki, _addon(store, made.addon, install), made.loader)
    uki, addon, loader = map(signer.sign_boot, unsigned)
    disk = signer.sign_boot(made.addon) if install else b""
    contents = Contents(made.release, uki, addon, loader, b"", certificates(settings.keys), disk_addon=disk)
    iso_image(out, toolbox, store, contents)
    return made.release


def _addon(store: Store, ours: bytes, install: str) -> bytes:
    """The words of a disk's addon, and where the layers are; not signed."""
    if install and not INSTALL.fullmatch(install):
        hint = "largest, smallest, ask, the kernel's name of a disk, or its name in /dev/disk/by-path"
        raise AssembleError(f"{install!r} is no rule for a disk", hint=hint)
    words = [PLACE, f"toweros.install={install}"] if install else [PLACE]
    line = " ".join([sections(ours).get(".cmdline", b"").rstrip(bytes(1)).decode(), *words])
    if len(line) > MAX_CMDLINE:
        raise AssembleError(f"the kernel's arguments must be shorter than {MAX_CMDLINE} bytes, and are {len(line)}")
    return add_sections(boot_file(store, ADDON_STUB), [Section(".cmdline", line.encode() + b"\0")])
