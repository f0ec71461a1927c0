"""A read-only image without a place for what is mounted into it: runc itself is asked about each case."""

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitops.assemble.root.places import lacking
from gitops.assemble.tars.tree import Entry
from gitops.model import Json

DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]}
PROC = {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}
SYS = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}
RUN = {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": []}
FOLDERS = {"dev": None, "proc": None, "sys": None, "run": None}
Files = dict[str, str | None]


def bind(source: str, destination: str, *words: str) -> Json:
    return {"destination": destination, "type": "bind", "source": source, "options": [*words, "rbind"]}


FILE, FOLDER = "/etc/passwd", "/etc"
CASES: dict[str, tuple[Files, list[Json], Json]] = {
    "all is there": ({"etc/x": ""}, [bind(FILE, "/etc/x")], {}),
    "no file": ({}, [bind(FILE, "/x")], {}),
    "no folder": ({}, [bind(FOLDER, "/a/b")], {}),
    "a folder, and below it none": ({"a": None}, [bind(FOLDER, "/a/b")], {}),
    "a writable root": ({}, [bind(FILE, "/a/x"), bind(FOLDER, "/b/c")], {"readonly": False, "cwd": "/w"}),
    "a file on a folder": ({"a": None}, [bind(FILE, "/a")], {}),
    "a folder on a file": ({"a": ""}, [bind(FOLDER, "/a")], {}),
    "a folder on a file of a writable root": ({"a": ""}, [bind(FOLDER, "/a")], {"readonly": False}),
    "below a file": ({"a": ""}, [bind(FOLDER, "/a/b")], {"readonly": False}),
    "a tmpfs on a file": ({"a": ""}, [{**RUN, "destination": "/a"}], {}),
    "a tmpfs on nothing": ({}, [{**RUN, "destination": "/a"}], {}),
    "in a tmpfs": ({}, [RUN, bind(FOLDER, "/run/a/b"), bind(FILE, "/run/c/d")], {}),
    "in a tmpfs that is read-only, which comes first": ({}, [{**RUN, "options": ["ro"]}, bind(FOLDER, "/run/a")], {}),
    "in a tmpfs that comes later": ({}, [bind(FOLDER, "/run/a"), RUN], {}),
    "in /dev": ({}, [bind(FILE, "/dev/a/b")], {}),
    "an absolute link to a folder": ({"a": "->/b", "b": None}, [bind(FOLDER, "/a")], {}),
    "an absolute link, and below it": ({"a": "->/b", "b/c": None}, [bind(FOLDER, "/a/c")], {}),
    "an absolute link, and below it none": ({"a": "->/b", "b": None}, [bind(FOLDER, "/a/c")], {}),
    "a link that leads to nothing": ({"a": "->b"}, [bind(FOLDER, "/a")], {}),
    "a link that leads out": ({"a": "->../../..", "b": None}, [bind(FOLDER, "/a/b")], {}),
    "a link of a link into a tmpfs": ({"a": "->c", "c": "->/run/x"}, [RUN, bind(FOLDER, "/a/c")], {}),
    "links in a circle": ({"a": "->b", "b": "->a"}, [bind(FOLDER, "/a/c")], {}),
    "a link to a file": ({"a": "->b", "b": ""}, [bind(FILE, "/a")], {}),
    "`..` by the text": ({"b": None}, [bind(FOLDER, "/nowhere/../b")], {}),
    "`..` through a link": ({"a": "->x/y", "x/y": None, "b": None}, [bind(FOLDER, "/a/../b")], {}),
    "slashes and dots": ({"a/b": None}, [bind(FOLDER, "//a/./b/")], {}),
    "a relative one": ({"a": None}, [{**RUN, "destination": "a"}], {}),
    "no /proc": ({"proc": "gone"}, [], {}),
    "/proc is a link": ({"proc": "->run"}, [], {}),
    "no /sys": ({"sys": "gone"}, [SYS], {}),
    "no working folder": ({}, [], {"cwd": "/work"}),
    "a working folder": ({"work": None}, [], {"cwd": "/work"}),
    "a working folder that is a file": ({"work": ""}, [], {"cwd": "/work"}),
    "a working folder in a tmpfs": ({}, [RUN], {"cwd": "/run/work"}),
    "a device": ({}, [], {"devices": ["/x/null"]}),
    "a device in /dev": ({}, [], {"devices": ["/dev/x/null"]}),
    "the box's /dev": ({}, [bind("/dev", "/dev")], {"devices": ["/x/null"]}),
    "no /dev at all": ({"dev": "gone"}, [], {"dev": False}),
}


def prepared(case: str) -> tuple[Files, Json]:
    """A case as files of an image and runc's configuration."""
    files, mounts, more = CASES[case]
    all_files = {**FOLDERS, **files}
    kept = {path: value for path, value in all_files.items() if value != "gone"}
    readonly = more.get("readonly", True)
    own_dev = more.get("dev", True) and all(mount["destination"] != "/dev" for mount in mounts)
    devices = [{"path": path, "type": "c", "major": 1, "minor": 3} for path in more.get("devices", ())]
    process: dict[str, Any] = {"user": {"uid": 0, "gid": 0}, "args": ["/nothing"], "cwd": more.get("cwd", "/")}
    return kept, {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": "rootfs", "readonly": readonly},
        "mounts": [*([DEV] if own_dev else []), PROC, *mounts],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}], "resources": {}, "devices": devices},
    }


def entries(files: Files) -> dict[str, Entry]:
    """The tree of an image with these files: None is a folder, `->` a link."""
    found = {"": Entry(stat.S_IFDIR)}
    for path, value in files.items():
        parts = path.split("/")
        found |= {"/".join(parts[:count]): Entry(stat.S_IFDIR) for count in range(1, len(parts))}
        kind = stat.S_IFDIR if value is None else stat.S_IFLNK if value.startswith("->") else stat.S_IFREG
        found[path] = Entry(kind, link=(value or "").removeprefix("->"))
    return found


class Bundle:
    """An image in a folder, which is bound as init binds it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "rootfs"
        self.root.mkdir()

    def lay(self, files: Files, *, readonly: bool) -> None:
        image = self.folder / "image"
        for path, value in files.items():
            place = image / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if value is None:
                place.mkdir(exist_ok=True)
            elif value.startswith("->"):
                place.symlink_to(value[2:])
            else:
                place.write_text(value)
        subprocess.run(["mount", "--bind", image, self.root], check=True)
        if readonly:
            subprocess.run(["mount", "-o", "remount,bind,ro", self.root], check=True)

    def run(self, config: Json) -> str:
        """What runc says; it always ends with an error, as the program is not there."""
        (self.folder / "config.json").write_text(json.dumps(config))
        name = f"places-{self.folder.name}"
        command = ["runc", "--root", str(self.folder / "state"), "run", "--bundle", str(self.folder), name]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    made = Bundle(tmp_path)
    yield made
    subprocess.run(["umount", made.root], check=False)


@pytest.mark.parametrize("case", CASES)
def test_what_runc_cannot_mount_is_said_and_nothing_else(bundle: Bundle, case: str) -> None:
    files, config = prepared(case)
    bundle.lay(files, readonly=config["root"]["readonly"])
    started = "stat /nothing" in (said := bundle.run(config))
    found = [*lacking(config, entries(files), lambda path: {FILE: False, FOLDER: True, "/dev": True}.get(path))]
    assert bool(found) != started, (said, found)
    assert all(each.why and each.fix for each in found)
