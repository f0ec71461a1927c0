"""LinuxKit YAML: what is read, what is refused and where, and how files merge."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.fleet.linuxkit.spec import load, merge
from gitops.model import Container, Entry, Spec


class Files:
    """A tree in memory."""

    def __init__(self, files):
        self._files = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}

    def entries(self):
        return {
            path: Entry(path, 0o100644, hashlib.sha1(data).hexdigest(), len(data)) for path, data in self._files.items()
        }

    def read(self, path):
        return self._files[path]

    def tree_id(self, folder):
        raise KeyError(folder)


def read(files, *paths):
    problems = []
    spec = load(Files(files), paths or list(files), problems)
    return spec, problems


def mistakes(text):
    _, problems = read({"a.yml": text})
    return [str(problem) for problem in problems]


EVERYTHING = """
kernel: {image: k:1, cmdline: quiet, binary: bzImage, tar: none, ucode: u.cpio}
init: [i:1]
onboot:
  - name: all
    image: a:1
    capabilities: [all]
    capabilities.add: [CAP_KILL]
    ambient: [CAP_KILL]
    mounts: [{type: tmpfs, destination: /m, source: tmpfs, options: [rw]}]
    binds: ["/a:/b"]
    binds.add: ["data:/data:ro"]
    tmpfs: ["/t:size=1m"]
    command: [x]
    env: [A=b]
    cwd: /w
    net: new
    pid: host
    ipc: new
    uts: new
    userns: /ns
    hostname: h
    readonly: true
    maskedPaths: [/p]
    readonlyPaths: [/r]
    uid: 5
    gid: all
    additionalGids: [1, all]
    noNewPrivileges: true
    oomScoreAdj: -5
    rootfsPropagation: shared
    cgroupsPath: /core/c
    resources: {memory: {limit: 1}, pids: {limit: 2}, cpu: {shares: 3}}
    sysctl: {a.b: "1"}
    rlimits: ["nofile,1,unlimited"]
    annotations: {a: b}
    devices: [{path: all, type: b}]
    runtime:
      cgroups: [c]
      mounts: [{type: bind, source: /a, destination: /b}]
      mkdir: [/d]
      interfaces: [{name: veth0, add: veth, peer: veth1, createInRoot: true}]
      bindNS: {net: /run/netns/x}
      namespace: other
volumes: [{name: data, image: v:1, readonly: true}]
files: [{path: /etc/x, contents: y, mode: "0644", uid: all}]
trust: {org: [x]}
"""


def test_every_field_of_linuxkit_is_read():
    spec, problems = read({"a.yml": EVERYTHING})
    assert problems == []
    (container,) = spec.onboot
    assert len(container.settings) == 32
    assert container.settings["runtime"]["bindNS"] == {"net": "/run/netns/x"}
    assert (spec.kernel_binary, spec.kernel_tar, spec.kernel_ucode) == ("bzImage", "none", "u.cpio")
    empty, _ = read({"b.yml": 'kernel: {image: k:1, tar: ""}'})
    assert empty.kernel_tar == "none", "an empty name is none (docs/yaml.md), and not the one that nobody names"
    assert spec.images() == ("k:1", "i:1", "a:1", "v:1")
    assert spec.files == ({"path": "etc/x", "contents": "y", "mode": "0644", "uid": "all"},)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "services:\n  - {name: a, image: b, comand: [x]}",
            "a.yml:2:25: unknown key `comand`; did you mean `command`?",
        ),
        ("services:\n  - {name: a, image: b, bind.add: []}", "did you mean `binds.add`?"),
        ("services:\n  - name: a", "a.yml:2:5: `image` is missing"),
        ("files:\n  - {path: etc/compose, symlink: /data}", "a.yml:2:5: `files.0`: what is in /etc/compose"),
        ("files:\n  - {path: etc/compose/x, contents: y}", "what is in /etc/compose comes from apps"),
        ("servces: []", "a.yml:1:1: unknown key `servces`; did you mean `services`?"),
        ("onboot:\n  - {name: a, image: b, binds: [/x]}", "/x is not SOURCE:DESTINATION"),
        ("onboot:\n  - {name: a, image: b, capabilities: [CAP_FLY]}", "unknown capability CAP_FLY"),
        ("onboot:\n  - {name: a, image: b, command: [sleep, 1]}", "a.yml:2:42"),
        ("onboot:\n  - {name: ../a, image: b}", "a.yml:2:12"),
        ("onboot:\n  - {name: a, image: b, rlimits: [files]}", "NAME,SOFT,HARD"),
        ("onboot:\n  - {name: a, image: b, binds: ['dta:/d']}\nvolumes: [{name: data}]", "did you mean `data`?"),
        ("services:\n  - {name: a, image: b}\n  - {name: a, image: c}", "a.yml:3:12: services holds `a` twice"),
        ("files: [{path: a/../../b, contents: x}]", "without `.`, `..`"),
        ("files: [{path: a}]", "exactly one of"),
        ("files: [{path: a, source: gone}]", "there is no file gone"),
        ("files: [{path: a, contents: x, mode: '99'}]", "octal"),
        (
            "volumes:\n  - {name: v, image: b, format: oci}",
            "a.yml:2:33: `volumes.0.format`: no volume of a box is an OCI",
        ),
        ("volumes:\n  - {name: v, format: file}", "known: filesystem"),
        (
            "volumes:\n  - {name: v, platforms: [linux/arm64]}",
            "a.yml:2:27: `volumes.0.platforms.0`: boxes are linux/amd64",
        ),
        ("init: ['@pkg:gone']", "there is no package in gone"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_way_out(text, says):
    (told,) = mistakes(text)
    assert says in told


def test_all_mistakes_come_in_one_run_and_what_can_be_read_is_read():
    spec, problems = read(
        {"a.yml": "init: [a]\nonboot: [{name: 1}]", "b.yml": "init: [b]\nfoo: 1", "c.yml": "init: [c]"}
    )
    assert {problem.file for problem in problems} == {"a.yml", "b.yml"}
    assert spec.init == ("a", "b", "c")


def test_a_missing_file_is_a_mistake_with_a_hint():
    _, (problem,) = read({"boot/vm.yml": ""}, "boot/vn.yml")
    assert "did you mean `boot/vm.yml`?" in str(problem)


def test_packages_are_named_from_the_top_of_the_repository():
    files = {"boot/a.yml": 'kernel: {image: "@pkg:../pkg/kernel"}\ninit: ["@pkg:../pkg/init"]'}
    packages = {"pkg/kernel/build.yml": "", "pkg/init/build.yml": ""}
    spec, problems = read(files | packages, "boot/a.yml")
    assert problems == []
    assert (spec.kernel, spec.init) == ("@pkg:pkg/kernel", ("@pkg:pkg/init",))


def test_sources_are_read_text_or_not():
    sources = (
        "files:\n  - {path: a, source: ./in/a}\n  - {path: b, source: in/b}\n  - {path: c, source: ~/c, optional: true}"
    )
    spec, problems = read({"boot.yml": sources, "in/a": "text", "in/b": b"\xff"}, "boot.yml")
    assert problems == []
    assert spec.files == ({"path": "a", "contents": "text"}, {"path": "b", "contentsBase64": "/w=="})


def test_a_volume_of_another_file_can_be_bound():
    bound = "services: [{name: a, image: b, binds: ['data:/data']}]"
    spec, problems = read({"a.yml": "volumes: [{name: data}]", "b.yml": bound})
    assert problems == []
    assert spec.volumes == ({"name": "data"},)


def test_one_name_in_two_files_is_told_where_the_first_is():
    _, (problem,) = read({"a.yml": "services: [{name: a, image: b}]", "b.yml": "services: [{name: a, image: b}]"})
    assert problem.file == "b.yml"
    assert "a.yml:1" in problem.hint


names = st.text("abc", max_size=2)
containers = st.lists(st.builds(Container, names, names), max_size=2).map(tuple)
specs = st.builds(
    Spec,
    kernel=names,
    cmdline=names,
    kernel_tar=names,
    init=st.lists(names, max_size=2).map(tuple),
    onboot=containers,
    services=containers,
)
NOTHING = Spec(kernel="", cmdline="")


@given(specs, specs, specs)
def test_merging_is_associative_and_only_appends(first, second, third):
    assert merge(merge(first, second), third) == merge(first, merge(second, third))
    assert merge(first, NOTHING) == merge(NOTHING, first) == first
    merged = merge(first, second)
    assert merged.services == first.services + second.services
    assert merged.kernel == (second.kernel or first.kernel)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_a_file_holds_gives_a_spec_or_mistakes(data):
    spec, problems = read({"a.yml": data})
    assert isinstance(spec, Spec)
    assert problems or spec == NOTHING
