"""A box's update while its disk is recorded, and what the campaign needs to judge the recording."""

import json
import shutil
import subprocess
from dataclasses import asdict
from hashlib import file_digest
from pathlib import Path

from gitops.assemble.formats.disk import Sizes
from gitops.lab.machine import Machine
from gitops.model import Publication
from gitops.store import Store
from gitops.store.files.verity import append_tree
from tests.kit.cuts.campaign import Recording
from tests.kit.cuts.loader import Known
from tests.kit.cuts.recorded import Recorded

BEFORE, LOGS = "before.raw", "writes"


def recorded(machine: Machine) -> Machine:
    """The same machine, off, whose disk is recorded from now on."""
    folder = machine.folder
    subprocess.run(["cp", "--sparse=always", machine.hardware.disk, folder / BEFORE], check=True)
    return Machine(folder, Recorded.of(machine.hardware, folder / LOGS))


def recording(folder: Path, sizes: Sizes, store: Store, publications: list[Publication]) -> Recording:
    """The disk before, its log, and the releases in the order in which they came."""
    known = [Known(p.release.sequence, p.document.sha256, p.uki.sha256, p.addon.sha256) for p in publications]
    releases = {p.document.sha256: tuple(each.root for each in p.release.layers()) for p in publications}
    layers = {root: _sealed(store, root, folder) for roots in releases.values() for root in roots}
    loaders = [p.loader.sha256 for p in publications if p.loader]
    return Recording(folder / BEFORE, folder / LOGS, sizes, known, releases, layers, loaders)


def _sealed(store: Store, root: str, folder: Path) -> str:
    """The digest of a layer as a box has it: with its hash tree."""
    copy = folder / "layer"
    shutil.copyfile(store.layers.path(root), copy)
    assert append_tree(copy) == root
    with copy.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    copy.unlink()
    return digest


def keep(made: Recording, path: Path) -> None:
    """For another day."""
    path.write_text(json.dumps(asdict(made), default=str))


def kept(path: Path) -> Recording:
    values = json.loads(path.read_text())
    known = [Known(**each) for each in values["known"]]
    releases = {name: tuple(roots) for name, roots in values["releases"].items()}
    places = {name: Path(values[name]) for name in ("before", "logs")}
    more = {"layers": values["layers"], "loaders": values.get("loaders", ())}
    return Recording(**places, sizes=Sizes(**values["sizes"]), known=known, releases=releases, **more)
