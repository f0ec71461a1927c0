"""What LinuxKit itself wrote for its examples and tests is what we write (tests/golden/linuxkit/README.md)."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from gitops.assemble.formats.tar import write
from gitops.fleet.linuxkit.files import WorkingFolder
from gitops.fleet.linuxkit.spec import load
from gitops.oci.layout import OciLayout

GOLDEN = Path(__file__).parents[1] / "golden" / "linuxkit"
CASES = sorted(path.stem for path in (GOLDEN / "cases").glob("*.yml"))
GOOD = [name for name in CASES if not name.startswith("bad__")]
TYPES = {tarfile.DIRTYPE: "dir", tarfile.REGTYPE: "file", tarfile.SYMTYPE: "symlink"}
SETS = {"bounding", "effective", "inheritable", "permitted", "ambient"}


def assemble(name):
    problems = []
    spec = load(WorkingFolder(), [str(GOLDEN / "cases" / f"{name}.yml")], problems)
    assert problems == []
    output = io.BytesIO()
    write(spec, OciLayout(GOLDEN / "oci"), output)
    output.seek(0)
    return tarfile.open(fileobj=output)


def in_image_root(path):
    """Below the root file system of a container or a volume."""
    parts = path.split("/")
    return len(parts) > 4 and parts[0] == "containers"


def described(member):
    entry = {"path": member.name, "type": TYPES[member.type], "mode": oct(member.mode)}
    entry |= {"uid": member.uid, "gid": member.gid}
    return entry | {"target": member.linkname} if member.issym() else entry


def comparable(value, key=""):
    """A JSON value without its empty members; capabilities as sets, `ociVersion` left out."""
    if isinstance(value, dict):
        members = {name: comparable(member, name) for name, member in value.items() if name != "ociVersion"}
        return {name: member for name, member in members.items() if member not in ("", 0, False, None, [], {})}
    if isinstance(value, list):
        items = [comparable(item) for item in value]
        return sorted(items) if key in SETS else items
    return value


def content(path, data):
    return comparable(json.loads(data)) if path.endswith(("config.json", "runtime.json")) else data


@pytest.mark.parametrize("name", GOOD)
def test_the_tar_is_linuxkits(name):
    expected = json.loads((GOLDEN / "expected" / f"{name}.json").read_text())
    with assemble(name) as archive:
        members = [member for member in archive if not in_image_root(member.name)]
        files = {m.name: archive.extractfile(m).read().decode() for m in members if m.isreg()}
    assert [described(member) for member in members] == expected["tree"]
    for path, value in expected["files"].items():
        if isinstance(value, str):
            assert files[path] == value, path
        else:
            assert comparable(json.loads(files[path])) == comparable(value), path


@pytest.mark.parametrize(("name", "says"), [("bad__rw_on_ro_volume", "read-only"), ("bad__static-ip", "not YAML")])
def test_what_linuxkit_refuses_is_refused_with_its_place(name, says):
    problems = []
    load(WorkingFolder(), [str(GOLDEN / "cases" / f"{name}.yml")], problems)
    found = next(problem for problem in problems if says in problem.message)
    assert found.line > 1
    assert found.hint


def test_every_bad_case_has_a_test():
    assert {name for name in CASES if name.startswith("bad__")} == {"bad__rw_on_ro_volume", "bad__static-ip"}
