"""A read-only image that lacks a place for what is mounted into it: dhcpcd did once, and no box had a network.

The fleet repo, the store, the layers and the verbs are real; runc's own word is in tests/assemble/test_places.py.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.builders import builder_of
from gitops.errors import AssembleError
from gitops.fleet import load_fleet
from gitops.model import Image, Json, Revision
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.store import Store
from gitops.workflows.workshop import Workshop
from tests.kit import oci
from tests.kit.console import git, toweros
from tests.kit.fleets import repo

LABEL = "org.mobyproject.config"
WHOLE: dict[str, oci.File] = {"dev/": b"", "proc/": b"", "sys/": b"", "usr/lib/": b"", "lib": "usr/lib"}
BUILD = "image: dhcpcd\nconfig:\n  readonly: true\n  tmpfs: [/tmp]\n  binds:\n    - /etc/conf.d:/etc/conf.d:ro\n"
SAID = '{"readonly": true, "tmpfs": ["/tmp"], "binds": ["/etc/conf.d:/etc/conf.d:ro"]}'
KERNEL = 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
SPEC = 'services:\n  - name: dhcpcd\n    image: "@pkg:../pkg/dhcpcd"\n'
ROLE = "boot: [boot/a.yml, boot/b.yml]\nfiles:\n  - {path: /etc/motd, contents: hello}\n"
BOXES = {f"boxes/{name}.yaml": "role: vm\n" for name in ("one", "two")}
PACKAGES = ("toolbox", "initrd", "bootloader", "kernel", "init", "dhcpcd")
CONFIG: Json = {"Cmd": ["/x"], "Labels": {LABEL: SAID}}


class Place:
    """A fleet repo, and a controller's state that has its packages as they were built."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder / "fleet", Settings(state=folder / "state")
        files = {f"pkg/{name}/build.yml": f"image: {name}\n" for name in PACKAGES}
        files |= {f"pkg/{name}/Dockerfile": 'FROM scratch\nCMD ["/x"]\n' for name in PACKAGES}
        repo(
            self.folder,
            **files
            | {"pkg/dhcpcd/build.yml": BUILD, "boot/a.yml": KERNEL, "boot/b.yml": SPEC, "roles/vm.yaml": ROLE, **BOXES},
        )
        git(self.folder, "init", "-q", "-b", "main")
        self.config = folder / "toweros.toml"
        self.config.write_text(f'state = "{folder}/state"\n')

    def change(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)

    def built(self, *layers: Mapping[str, oci.File], config: Json = CONFIG) -> None:
        """dhcpcd's image has these layers; the others have something."""
        store = Store.of(self.settings)
        fleet = load_fleet(FolderTree(self.folder))
        for path, package in fleet.packages.items():
            made = oci.image(store, path, *(layers if path == "pkg/dhcpcd" else ({"x": b"x"},)))
            store.builds.save_image(Image(path, package.key, config, made.layers))

    def assembled(self) -> str:
        """Why the release of a box cannot be made."""
        tree, store = FolderTree(self.folder), Store.of(self.settings)
        point = Revision("main", "0" * 40, 1, 0), tree
        workshop = Workshop(self.settings, store, builder_of(self.settings, store), point, load_fleet(tree))
        with pytest.raises(AssembleError) as caught:
            workshop.assemble("one")
        return f"{caught.value.message}; {caught.value.hint}"

    def validated(self) -> str:
        return toweros("validate", self.folder, "--images", "--config", self.config).stdout

    def planned(self) -> str:
        return toweros("plan", "-C", self.folder, "--config", self.config).stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_place_that_is_missing_is_told_by_every_verb_before_anything_is_published(place: Place) -> None:
    place.built(WHOLE | {"tmp/": b""})
    where, why = (
        "pkg/dhcpcd/build.yml:5: ",
        "services.dhcpcd: its image has no /etc/conf.d, and a read-only root gets none",
    )
    assert f"{where}one, two: {why}; add `RUN mkdir -p /etc/conf.d`" in place.validated()
    assert f"{where}one, two: {why}; add `RUN mkdir -p /etc/conf.d`" in place.planned()
    assert place.assembled().startswith(f"{where}{why}; add `RUN mkdir -p /etc/conf.d`")


def test_an_image_with_all_places_is_no_mistake(place: Place) -> None:
    place.built(WHOLE | {"tmp/": b"", "etc/conf.d/": b""})
    assert place.validated() == "" and "dhcpcd" not in place.planned()
    assert "dhcpcd" not in place.assembled(), "these packages make no box, and that is all"


VOLUME = "    binds.add: ['vol:/f']\nvolumes: [{name: vol}]\n"
GOOD: dict[str, oci.File] = WHOLE | {"tmp/": b"", "etc/conf.d/": b""}
ODD: dict[str, tuple[list[dict[str, oci.File]], str, str]] = {
    "a folder for a tmpfs, which the label asks for": ([WHOLE | {"etc/conf.d/": b""}], "", "pkg/dhcpcd/build.yml:4: "),
    "what the box itself always mounts": ([{"tmp/": b"", "etc/conf.d/": b""}], "", "pkg/dhcpcd/build.yml:3: "),
    "a folder that an upper layer takes away": ([GOOD, {"etc/.wh.conf.d": b""}], "", "pkg/dhcpcd/build.yml:5: "),
    "a folder that is a link to nothing": ([WHOLE | {"tmp/": b"", "etc/conf.d": "/data/conf.d"}], "", "/data/conf.d"),
    "what the spec itself binds": ([GOOD], "    binds: ['/srv:/data/x']\n", "boot/b.yml:4: "),
    "what it binds besides": ([GOOD], "    binds.add: ['/srv:/lib/x']\n", "has no /usr/lib/x"),
    "a volume on a file": ([GOOD | {"f": b""}], VOLUME, "/f of its image is a file"),
    "a file of the box on a folder": ([GOOD], "    binds.add: ['/etc/motd:/tmp']\n", "/tmp of its image is a folder"),
    "a mount": ([GOOD], "    mounts: [{type: tmpfs, destination: /m}]\n", "boot/b.yml:4: "),
    "a working folder": ([GOOD], "    cwd: /work\n", "boot/b.yml:4: "),
    "a device": ([GOOD], "    devices: [{path: /x/null, type: c, major: 1, minor: 3}]\n", "boot/b.yml:4: "),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_each_kind_of_place_is_looked_for_and_named_by_its_own_line(place: Place, kind: str) -> None:
    layers, more, words = ODD[kind]
    place.change("boot/b.yml", SPEC + more)
    place.built(*layers)
    assert words in place.assembled()


FINE = {
    "a writable root": "    readonly: false\n",
    "in a tmpfs of its own": "    binds.add: ['/srv:/tmp/a/b']\n",
    "in what it binds": "    binds.add: ['/srv:/etc/conf.d/x']\n",
    "in /dev": "    binds.add: ['/srv:/dev/x']\n",
    "where a link leads": "    binds: ['/srv:/lib']\n",
}


@pytest.mark.parametrize("kind", FINE)
def test_what_is_made_or_there_is_no_mistake(place: Place, kind: str) -> None:
    place.change("boot/b.yml", SPEC + FINE[kind])
    place.built(GOOD)
    assert "dhcpcd" not in place.assembled()
