"""What a container may take, as init says it: the shell's functions on folders that stand for cgroups.

A real kernel keeps services within these bounds in `tests/e2e/test_box.py`.
"""

import json
import time
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from gitops.assemble.root.runtime_spec import describe
from gitops.fleet.linuxkit.schema import Settings
from gitops.fleet.linuxkit.spec import load
from gitops.model import Container, Json
from gitops.source import FolderTree
from tests.kit.init import CHECKOUT, INIT, MEMORY, MIB, sh


def bound(folder: Path, settings: Json, name: str = "web") -> tuple[Json, dict[str, str]]:
    """The config.json of a service on a box, and what is in its cgroup."""
    bundle = folder / "bundle"
    bundle.mkdir()
    config, _ = describe(Container(name, "i", settings), {"Cmd": ["run"]}, volumes={}, ids={})
    (bundle / "config.json").write_text(json.dumps(config))
    sh(folder, f"bound services {bundle} {name} {folder}/out.json")
    made: Json = json.loads((folder / "out.json").read_text())
    group = folder / "cgroups" / made["linux"]["cgroupsPath"].lstrip("/").removesuffix("/run")
    return made, {path.name: path.read_text().strip() for path in group.iterdir() if "." in path.name}


def test_a_service_that_says_nothing_gets_the_defaults(tmp_path: Path) -> None:
    made, group = bound(tmp_path, {})
    assert made["linux"]["cgroupsPath"] == "/services/web/run"
    assert made["root"]["path"] == f"{tmp_path}/bundle/rootfs"
    assert made["process"]["oomScoreAdj"] == 0, "else it has that of containerd's shims"
    assert made["linux"]["resources"] == {"unified": {"memory.oom.group": "1"}}
    half = str(MEMORY // 100 * 50)
    assert group == {"pids.max": "1024", "memory.max": half, "memory.oom.group": "1", "memory.min": "0"}


def test_what_a_spec_says_counts(tmp_path: Path) -> None:
    resources = {"pids": {"limit": 7}, "memory": {"limit": -1}, "unified": {"memory.oom.group": "0"}}
    made, group = bound(tmp_path, {"resources": resources, "oomScoreAdj": -5, "cgroupsPath": "apps/one"})
    assert made["linux"]["cgroupsPath"] == "/services/apps/one/web/run"
    assert made["linux"]["resources"] == resources and made["process"]["oomScoreAdj"] == -5
    assert group == {"pids.max": "7", "memory.max": "max", "memory.oom.group": "0", "memory.min": "0"}


def test_on_a_small_box_no_service_may_have_all_processes_of_all(tmp_path: Path) -> None:
    (tmp_path / "cgroups/services").mkdir(parents=True)
    (tmp_path / "cgroups/services/pids.max").write_text("2000\n")
    _, group = bound(tmp_path, {"resources": {"pids": {"limit": 4096}}})
    assert group["pids.max"] == "1750"
    start = (CHECKOUT / "pkg/docker/files/usr/bin/start-docker").read_text().replace("${1:-main}", "")
    (tmp_path / "start").write_text(start)
    words = "; ".join(f'percent 87 "{number}"' for number in ("1750", "max", ""))
    assert sh(tmp_path, f". {tmp_path}/start; {words}") == "1522\nmax\nmax\n"


def test_what_keeps_the_box_within_reach_is_protected_and_has_no_limit_of_memory(tmp_path: Path) -> None:
    made, group = bound(tmp_path, {"cgroupsPath": "/core/agent"}, "agent")
    kept = str(MEMORY // 100 * 10)
    assert made["linux"]["resources"]["unified"]["memory.min"] == kept
    limits = {"pids.max": "1024", "memory.max": "max", "memory.oom.group": "1", "memory.min": kept}
    assert group == limits | {"cpu.weight": "1000"}, "as much as containerd, which starts everything else"


@pytest.mark.parametrize(
    "path",
    ["/x", "/core", "/core/", "/core/containerd", "/core/..", "/core/a/b", "../core/containerd", "a//b", "a/run"],
)
def test_a_cgroup_of_somebody_else_is_neither_taken_nor_given(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValidationError, match="neither /core/NAME"):
        Settings.model_validate({"cgroupsPath": path})
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"linux": {"cgroupsPath": path}, "mounts": []}))
    sh(tmp_path, f"bound services {bundle} web {tmp_path}/out.json")
    assert json.loads((tmp_path / "out.json").read_text())["linux"]["cgroupsPath"] == "/services/web/run"


@pytest.mark.parametrize(("path", "made"), [("web", "web"), ("group/web", "group/web"), ("group", "group/web")])
def test_a_cgroup_ends_in_the_name_that_it_is_counted_under(tmp_path: Path, path: str, made: str) -> None:
    assert bound(tmp_path, {"cgroupsPath": path})[0]["linux"]["cgroupsPath"] == f"/services/{made}/run"


def test_a_tmpfs_without_a_size_gets_one_and_another_keeps_its_own(tmp_path: Path) -> None:
    made, _ = bound(tmp_path, {"tmpfs": ["/tmp:nosuid", "/big:size=90%", "/plain"]})
    options = {mount["destination"]: mount["options"] for mount in made["mounts"] if mount["type"] == "tmpfs"}
    assert options["/tmp"] == ["nosuid", "size=10%"] and options["/plain"] == ["size=10%"]
    assert options["/big"] == ["size=90%"] and options["/dev"][-1] == "size=65536k"


def test_all_services_together_leave_memory_and_processes_to_the_core(tmp_path: Path) -> None:
    boot = (INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/", f"{INIT}/")
    (tmp_path / "boot").write_text(boot)
    again = f"CGROUPS={tmp_path}/cgroups MEMINFO={tmp_path}/meminfo HANDOVER={tmp_path}"
    sh(tmp_path, f". {tmp_path}/boot; {again}\nshare_the_box")
    cgroups = tmp_path / "cgroups"
    threads = min(int(Path("/proc/sys/kernel", name).read_text()) for name in ("pid_max", "threads-max"))
    assert int((cgroups / "services/pids.max").read_text()) == threads * 3 // 4
    assert int((cgroups / "services/memory.max").read_text()) == MEMORY - MEMORY // 100 * 12
    assert int((cgroups / "core/memory.min").read_text()) == MEMORY // 100 * 20
    assert (cgroups / "core/cpu.weight").read_text() == "1000\n"
    sh(tmp_path, f"echo 'MemTotal: 262144 kB' >{tmp_path}/meminfo; . {tmp_path}/boot; {again}\nshare_the_box")
    assert int((cgroups / "services/memory.max").read_text()) < 160 * MIB, "96 MiB of a small one"


def test_the_groups_above_give_their_controllers_and_the_last_one_keeps_them(tmp_path: Path) -> None:
    """A cgroup 2 that gives controllers away may hold no process."""
    sh(tmp_path, "make_group /core/containerd")
    given = {path.parent.name for path in (tmp_path / "cgroups").rglob("cgroup.subtree_control")}
    assert (tmp_path / "cgroups/core/containerd").is_dir() and given == {"cgroups"}


def test_our_own_specs_protect_agent_and_login_and_let_docker_have_more_processes() -> None:
    problems: list = []
    spec = load(FolderTree(CHECKOUT), ["boot/oc-minimal.yml", "boot/docker.yml"], problems)
    assert problems == []
    assert {each.settings.get("resources") for each in spec.services} == {None}, "a fleet's own spec has them as well"
    label = yaml.safe_load((CHECKOUT / "pkg/docker/build.yml").read_text())["config"]
    assert label["resources"] == {
        "pids": {"limit": 4096}, "memory": {"limit": -1}, "unified": {"memory.oom.group": "0"},
    }  # fmt: skip
    for name in ("agent", "sshd"):
        text = (CHECKOUT / "pkg" / name / "build.yml").read_text()
        assert f"cgroupsPath: /core/{name}" in text and "oomScoreAdj: -900" in text


# --- containers that run once ---


def once(folder: Path, containers: dict[str, str], seconds: int, annotations: Json | None = None) -> dict[str, str]:
    """Run a group of onboot containers, whose program a shell script stands for; what is left for the agent."""
    for name, script in containers.items():
        bundle = folder / "containers/onboot" / name
        bundle.mkdir(parents=True)
        settings = {"command": [script], "annotations": annotations or {}}
        config, runtime = describe(Container(name, "i", settings), {}, volumes={}, ids={})
        (bundle / "config.json").write_text(json.dumps(config, indent=2))
        (bundle / "runtime.json").write_text(json.dumps(runtime))
    (folder / "bin").mkdir()
    runc = folder / "bin/runc"
    runc.write_text('#!/bin/sh\n[ "$1" = run ] && exec sh -c "$(jq -r ".process.args[0]" "$3/config.json")"\n')
    runc.chmod(0o755)
    script = (
        (INIT / "common.sh").read_text().replace("/usr/lib/toweros/", f"{INIT}/").replace("/run/", f"{folder}/run/")
    )
    (folder / "common.sh").write_text(script.replace("/dev/console", f"{folder}/console"))
    (folder / "run").mkdir()
    sh(folder, f". {folder}/common.sh; CGROUPS={folder}/cgroups HANDOVER={folder} CONTAINERS={folder}/containers\n"
       f"PATH={folder}/bin:$PATH\nexec 9>{folder}/watchdog\nrun_once onboot {seconds}")  # fmt: skip
    return {path.name: path.read_text().strip() for path in sorted((folder / "onboot").iterdir())}


def test_an_onboot_container_that_hangs_is_ended_and_named_and_the_next_one_runs(tmp_path: Path) -> None:
    began = time.monotonic()
    left = once(tmp_path, {"000-hangs": "echo so far; exec sleep 99", "001-next": "exit 3"}, 2)
    assert left == {"000-hangs": "137 (it did not end within 2 s)", "001-next": "3"}
    assert time.monotonic() - began < 20
    assert (tmp_path / "log/onboot-000-hangs").read_text() == "so far\n"
    assert (tmp_path / "watchdog").read_text(), "the watchdog is fed meanwhile"


def test_a_container_may_say_how_long_it_takes(tmp_path: Path) -> None:
    assert once(tmp_path, {"000-slow": "sleep 1.2"}, 1, {"org.toweros.timeout": "30"}) == {"000-slow": "0"}


def test_what_is_left_behind_does_not_hold_the_watchdog_that_the_agent_opens_next(tmp_path: Path) -> None:
    """It can be opened once only: while any process has it, nobody feeds it."""
    began = time.monotonic()
    assert once(tmp_path, {"000-quick": "sleep 77 >/dev/null 2>&1 & true"}, 30) == {"000-quick": "0"}
    assert time.monotonic() - began < 5, "nothing waits for the guard's nap"
    holders = [path.parents[1] for path in Path("/proc").glob("[0-9]*/fd/9") if path.resolve() == tmp_path / "watchdog"]
    assert [(path / "cmdline").read_bytes() for path in holders] == []
    with (tmp_path / "boot").open("w") as boot:
        boot.write((INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/", f"{INIT}/"))
        boot.write(
            "for name in mount_filesystems share_the_box name_the_box load_drivers prepare_volumes save_log; do\n"
        )
        boot.write('eval "$name() { :; }"; done; say() { :; }\n')
        boot.write("mount_esp() { fed; sleep 0 & fed; }; run_once() { fed; }\n")
        boot.write(f"fed() {{ wc -c <{tmp_path}/dog; }}; feed_watchdog() {{ printf . >&9; }}\nmain\n")
    text = Path(tmp_path, "boot").read_text()
    assert text.count("/dev/watchdog") == 2
    Path(tmp_path, "boot").write_text(
        text.replace("-c /dev/watchdog", "-e /dev/null").replace("/dev/watchdog", f"{tmp_path}/dog")
    )
    assert sh(tmp_path, f". {tmp_path}/boot") == "0\n0\n1\n", "opened before the ESP is checked, fed after it"


@pytest.mark.parametrize(("name", "seconds"), [("mount", "1800"), ("format", "600")])
def test_a_large_file_system_has_its_time(name: str, seconds: str) -> None:
    assert f'org.toweros.timeout: "{seconds}"' in (CHECKOUT / "pkg" / name / "build.yml").read_text()
