"""User containers, for real and without a virtual machine: the release's own images, Docker, compose, and on them a GSM
network up to the point where it needs a radio.

The services of boot/docker.yml run under runc as the assembler describes them; only their start is ours.
"""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from toweros_agent.health import system
from toweros_agent.health.checks import Checker
from toweros_agent.nouns import Check

from gitops.errors import ProcessError
from gitops.oci.image import oci_image, push
from gitops.oci.registry import Registry
from gitops.process import run
from tests.e2e.containers import LAYER, MANIFEST, Host
from tests.kit import built
from tests.simulators.registry import DockerRegistry

pytestmark = pytest.mark.e2e

APP = built.CHECKOUT / "boot/compose/osmo-nitb"
SPEC = yaml.safe_load((built.CHECKOUT / "boot/docker.yml").read_text())
SERVICES = {service["name"]: service["image"].removeprefix("@pkg:../") for service in SPEC["services"]}
ELEMENTS = ("osmo-stp", "osmo-hlr", "osmo-mgw", "osmo-msc", "osmo-bsc", "osmo-bts")
LOOKS = 5
"""In a row that must show the same process."""
VTY = {"osmo-stp": 4239, "osmo-hlr": 4258, "osmo-mgw": 4243, "osmo-msc": 4254, "osmo-bsc": 4242, "osmo-bts": 4241}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host"), SERVICES) as made:
        (daemon,) = [file["contents"] for file in SPEC["files"] if file["path"] == "etc/docker/daemon.json"]
        (made.box / "etc/docker/daemon.json").write_text(daemon)
        install(made, APP, made.box / "etc/compose/osmo-nitb")
        for name in SERVICES:
            start(made, name)
        assert set(ELEMENTS) <= running(made)
        yield made


def install(host: Host, app: Path, target: Path) -> None:
    """What the controller does with an app: images staged and named by digest, the folder copied."""
    shutil.copytree(app, target)
    file = target / "docker-compose.yml"
    spec = yaml.safe_load(file.read_text())
    for service in spec["services"].values():
        package = service["image"].removeprefix("@pkg:../../../")
        service["image"] = host.stage(built.image(package))
    if not kernel_has_sctp():
        run(["gcc", "-shared", "-fPIC", "-nostdlib", "-o", target / "no_sctp.so", Path(__file__).parent / "no_sctp.c"])
        spec["services"]["osmo-msc"]["volumes"].append("./no_sctp.so:/no_sctp.so:ro")
        spec["services"]["osmo-msc"]["environment"] = {"LD_PRELOAD": "/no_sctp.so"}
    file.write_text(yaml.safe_dump(spec))


def start(host: Host, name: str) -> None:
    """Start a service; compose is waited for until it is through with all apps. While it is not, what the engine says
    of a container is out of date with the next word: it is renamed, replaced, or not started yet."""
    through = host.box / "run/docker/apps-up"
    if name == "compose":
        through.unlink(missing_ok=True)
    host.start(name)
    if name == "compose":
        host.wait_until("compose to be through", through.exists)


def kernel_has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def running(host: Host) -> set[str]:
    """Those that have a process: `ps` alone shows what is between two starts, too."""
    try:
        return set(host.docker("ps", "--filter", "status=running", "--format", "{{.Names}}").split())
    except ProcessError:
        return set()


def vty(host: Host, element: str, *commands: str) -> str:
    try:
        return host.docker("exec", element, "vty", str(VTY[element]), *commands)
    except ProcessError as error:
        return error.message


def wait_vty(host: Host, element: str, command: str, pattern: str) -> None:
    host.wait_until(f"{element}: {command}", lambda: bool(re.search(pattern, vty(host, element, command))))


# --- the release's own registry ---------------------------------------------------------------------------------------


def ask(host: Host, path: str, method: str = "GET") -> tuple[int, dict[str, str]]:
    """Status and headers of the registry's answer."""
    url = f"http://127.0.0.1:5000{path}"
    said = host.here("curl", "--silent", "--max-time", "10", "--include", "--request", method, "--output", "-", url)
    first, *rest = said.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in rest)


def staged(host: Host, kind: str) -> str:
    """The digest of a staged blob: a manifest or a layer."""
    blobs = host.box / "containers/images/oci/blobs/sha256"
    for path in blobs.iterdir():
        data = path.read_bytes()
        if data.startswith(b"{") and b'"layers":' in data:
            manifest = json.loads(data)
            return path.name if kind == MANIFEST else str(manifest["layers"][-1]["digest"].removeprefix("sha256:"))
    raise AssertionError("nothing is staged")


def test_the_registry_serves_manifests_and_blobs_by_digest_and_nothing_else(host: Host) -> None:
    manifest, layer = staged(host, MANIFEST), staged(host, LAYER)
    assert ask(host, "/v2/")[0] == 200
    status, headers = ask(host, f"/v2/toweros/osmo-stp/manifests/sha256:{manifest}")
    assert (status, headers["content-type"]) == (200, MANIFEST)
    assert headers["docker-content-digest"] == f"sha256:{manifest}"
    assert ask(host, f"/v2/toweros/osmo-stp/blobs/sha256:{layer}")[0] == 200
    missing = f"sha256:{'0' * 64}"
    for path in (f"manifests/{missing}", "manifests/latest", f"blobs/{missing}", "blobs/../../etc/passwd"):
        assert ask(host, f"/v2/toweros/osmo-stp/{path}")[0] == 404
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert ask(host, f"/v2/toweros/osmo-stp/blobs/sha256:{layer}", method)[0] == 405


def test_docker_refuses_an_image_whose_bytes_are_not_those_of_its_digest(host: Host) -> None:
    blobs = host.box / "containers/images/oci/blobs/sha256"
    wrong = "f" * 64
    shutil.copyfile(blobs / staged(host, MANIFEST), blobs / wrong)
    assert "digest" in host.denied("pull", f"127.0.0.1:5000/toweros/osmo-stp@sha256:{wrong}")


# --- compose ----------------------------------------------------------------------------------------------------------


def test_every_container_is_of_an_image_named_by_digest(host: Host) -> None:
    images = host.docker("ps", "--all", "--no-trunc", "--format", "{{.Image}}").split()
    assert len(images) == len(ELEMENTS) + 1
    assert all(re.fullmatch(r"127\.0\.0\.1:5000/toweros/osmo-[a-z]+@sha256:[0-9a-f]{64}", image) for image in images)


def test_the_agent_asks_the_engine_and_counts_what_keeps_dying(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "DOCKER", str(host.box / "run/docker/docker.sock"))
    monkeypatch.setattr(system, "APPS_UP", str(host.box / "run/docker/apps-up"))
    checks = tuple(Check(name, "container", name) for name in ("osmo-stp", "osmo-mgw"))
    checker = Checker(checks, system.System(), lambda: None)
    assert all(result.ok for result in checker.round())
    for _ in range(2):
        host.docker("restart", "--time", "0", "osmo-mgw")
        stp, mgw = checker.round()
    assert stp.ok
    assert (mgw.ok, mgw.restarts, mgw.message) == (False, 2, "restarted 2 times")
    seen = system.System().containers()
    assert seen["prepare"][1] == "EXITED" and {*ELEMENTS} <= {*seen}


def test_the_elements_are_not_root_and_write_only_their_data(host: Host) -> None:
    for element in ELEMENTS:
        assert tried(host, element, "id", "-u") == (True, "900\n")
        went, said = tried(host, element, "touch", "/usr/x")
        assert not went and "Read-only" in said
    data = host.box / "state/data/osmo-nitb"
    assert (data / "osmo-hlr/hlr.db").stat().st_uid == 900
    assert (data / "osmo-msc/sms.db").stat().st_uid == 900


# --- the network in the box -------------------------------------------------------------------------------------------


def test_signalling_links_subscribers_and_media_are_connected(host: Host) -> None:
    wait_vty(host, "osmo-stp", "show cs7 instance 0 asp", r"(?s)ASP_ACTIVE.*ASP_ACTIVE")
    wait_vty(host, "osmo-bsc", "show mscs", r"BSSMAP state: CONNECTED")
    wait_vty(host, "osmo-msc", "show bsc", r"PC=0\.23\.3,SSN=BSSAP READY")
    wait_vty(host, "osmo-hlr", "show gsup-connections", r"from 127\.0\.0\.1:\d+, CS=0")
    for element in ("osmo-msc", "osmo-bsc"):
        wait_vty(host, element, "show mgw-pool", r"MGCP link:\s+connected")


def test_the_base_station_is_configured_and_waits_for_its_transceiver(host: Host) -> None:
    wait_vty(host, "osmo-bsc", "show bts 0", r"OML Link: \(r=127\.0\.0\.1")
    wait_vty(host, "osmo-bts", "show bts 0", r"OML Link state: connected")
    wait_vty(host, "osmo-bts", "show transceiver", r"(?s)poweroff.*phy link state: connecting")
    assert "osmo-trx" not in running(host), "without COMPOSE_PROFILES=radio nobody asks for it"


# --- what user containers may not do ----------------------------------------------------------------------------------


def tried(host: Host, element: str, *words: str) -> tuple[bool, str]:
    """Whether a command goes well in an element, and what it says.

    The base station ends itself while its controller is away, and is started again: that is waited for.
    """
    went, said = False, ""

    def ran() -> bool:
        nonlocal went, said
        try:
            went, said = True, host.docker("exec", element, *words)
        except ProcessError as error:
            went, said = False, error.log or error.message
        return went or not re.search("is not running|is restarting|No such container", said)

    host.wait_until(f"{element} to run", ran)
    return went, said


def image_of(host: Host, element: str) -> str:
    return host.docker("inspect", "--format", "{{.Config.Image}}", element).strip()


def test_a_call_outside_the_seccomp_profile_is_denied(host: Host) -> None:
    """mknod of a pipe: Docker's own profile lets everybody do it, this app's does not."""
    went, said = tried(host, "osmo-bts", "mkfifo", "/tmp/pipe")
    assert not went and "Operation not permitted" in said
    free = ("run", "--rm", "--read-only", "--tmpfs", "/tmp:mode=1777", "--network", "none", image_of(host, "osmo-bts"))
    host.docker(*free, "mkfifo", "/tmp/pipe")


def test_the_apparmor_profiles_compile_and_name_their_service(host: Host) -> None:
    """Debian's kernel enforces them on the box; the parser is the box's own, and reads them here too."""
    parser = ("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--features-file", "/etc/apparmor.d/abi/4.0")
    for element in ("osmo-hlr", "osmo-msc"):
        file = f"/etc/compose/osmo-nitb/apparmor/{element}"
        host.exec("compose", *parser, file)
        assert host.exec("compose", "apparmor_parser", "--names", file).split() == [element]
        assert f"apparmor={element}" in host.docker("inspect", "--format", "{{.HostConfig.SecurityOpt}}", element)


def test_not_even_a_privileged_container_opens_a_block_device(host: Host) -> None:
    disk = next(path for path in Path("/sys/class/block").iterdir() if Path("/dev", path.name).is_block_device())
    number = (disk / "dev").read_text().strip().replace(":", " ")
    privileged = ("run", "--rm", "--privileged", "--cgroupns=host", "--pid=host", "--user", "0:0", "--network", "none")
    image = image_of(host, "osmo-stp")
    for command in (f"head -c 1 /dev/{disk.name}", f"mknod /tmp/disk b {number} && head -c 1 /tmp/disk"):
        said = host.denied(*privileged, "--volume=/dev:/dev", image, "sh", "-c", command)
        assert "Operation not permitted" in said
    host.docker(*privileged, "--volume=/dev:/dev", image, "head", "-c", "1", "/dev/zero")
    seen = host.docker(*privileged, image, "sh", "-c", "mkdir /tmp/c && mount -t cgroup2 none /tmp/c && ls /tmp/c")
    assert {"cgroup.type", "engine"} <= set(seen.split()), "what it sees as the root is the engine's own cgroup"
    assert "inside" not in seen.split(), "the cgroup with the device rules is above it"


def test_a_changed_profile_is_applied_though_compose_itself_would_not_notice(host: Host) -> None:
    file = host.box / "etc/compose/osmo-nitb/seccomp/osmocom.json"
    said = json.loads(file.read_text())
    said["syscalls"][0]["names"] += ["mknod", "mknodat"]
    file.write_text(json.dumps(said))
    before = host.docker("inspect", "--format", "{{.Id}}", "osmo-bts")
    host.stop("compose")
    start(host, "compose")
    assert host.docker("inspect", "--format", "{{.Id}}", "osmo-bts") != before
    went, said = tried(host, "osmo-bts", "mkfifo", "/tmp/pipe")
    assert went, said


# --- apps that opt out of the release: `pull: registry` ---------------------------------------------------------------


def test_an_app_is_pulled_from_a_registry_by_digest(host: Host, tmp_path: Path) -> None:
    image = oci_image(built.store(), built.image("pkg/osmocom/osmo-stp"))
    with DockerRegistry(tmp_path / "registry") as server:
        push(built.store(), Registry(server.address), "towers/osmo-stp", "1", image)
    folder = host.box / "etc/compose/elsewhere"
    folder.mkdir()
    with DockerRegistry(tmp_path / "registry", host.network()) as server:
        reference = f"{server.address}/towers/osmo-stp@sha256:{image.digest}"
        service = {"image": reference, "entrypoint": ["sleep", "9999"], "container_name": "elsewhere"}
        (folder / "docker-compose.yml").write_text(json.dumps({"services": {"sleep": service}}))
        host.stop("compose")
        start(host, "compose")
        assert "elsewhere" in running(host)
        assert host.docker("inspect", "--format", "{{.Config.Image}}", "elsewhere").strip() == reference
        other = f"{server.address}/towers/osmo-stp@sha256:{'0' * 64}"
        assert "not found" in host.denied("pull", other) or "unknown" in host.denied("pull", other)
    shutil.rmtree(folder)
    host.stop("compose")
    start(host, "compose")
    host.wait_until("exactly the elements", lambda: running(host) == set(ELEMENTS))


# --- what comes back, and what does not -------------------------------------------------------------------------------


def test_a_killed_element_comes_back_by_itself(host: Host) -> None:
    pid, restarts = steady(host, "osmo-mgw")
    host.exec("docker", "kill", "-9", str(pid))
    host.wait_until("another osmo-mgw", lambda: process(host, "osmo-mgw")[1] == restarts + 1)
    assert steady(host, "osmo-mgw")[0] != pid


def process(host: Host, element: str) -> tuple[int, int]:
    """Its process, 0 between two starts, and how often the engine has started it again."""
    pid, restarts = host.docker("inspect", "--format", "{{.State.Pid}} {{.RestartCount}}", element).split()
    return int(pid), int(restarts)


def steady(host: Host, element: str) -> tuple[int, int]:
    """The same, once it has been the same process for a while."""
    seen: list[tuple[int, int]] = []

    def same() -> bool:
        seen.append(process(host, element))
        return seen[-1][0] != 0 and seen[-LOOKS:] == [seen[-1]] * LOOKS

    host.wait_until(f"{element} to run steadily", same)
    return seen[-1]


def test_after_a_power_cut_subscribers_are_there_and_what_git_does_not_ask_for_is_gone(host: Host) -> None:
    made = ("subscriber imsi 001010000000001 create", "subscriber imsi 001010000000001 update msisdn 100")
    host.wait_until("a subscriber", lambda: "001010000000001" in vty(host, "osmo-hlr", *made, "show subscribers all"))
    image = image_of(host, "osmo-stp")
    host.docker("run", "--detach", "--name", "stranger", "--restart=always", image, "sleep", "9999")
    dropped = host.box / "etc/compose/dropped"
    dropped.mkdir()
    service = {"image": image, "command": ["sleep", "9999"], "restart": "always"}
    (dropped / "docker-compose.yml").write_text(json.dumps({"services": {"sleep": service}}))
    up = ("docker", "compose", "-p", "dropped", "-f", "/etc/compose/dropped/docker-compose.yml", "up", "-d")
    host.exec("compose", *up)
    assert {"stranger", "dropped-sleep-1"} <= running(host)
    for name in SERVICES:
        host.stop(name)
    shutil.rmtree(dropped)
    for name in SERVICES:
        start(host, name)
    host.wait_until("exactly the elements", lambda: running(host) == set(ELEMENTS))
    wait_vty(host, "osmo-hlr", "show subscribers all", r"001010000000001")
    wait_vty(host, "osmo-bsc", "show mscs", r"BSSMAP state: CONNECTED")


def test_an_engine_that_dies_alone_gets_its_containers_again(host: Host) -> None:
    host.stop("docker")
    host.start("docker")
    host.wait_until("the network elements", lambda: set(ELEMENTS) <= running(host))


def test_on_the_way_down_a_container_ends_as_it_likes(host: Host) -> None:
    """The engine's first process is `tini`, which neither catches signals nor has them blocked while it waits."""

    def told() -> int:
        return host.docker("logs", "osmo-bsc").count("signal 15 received")

    steady(host, "osmo-bsc")
    before = told()
    host.end("docker")
    host.stop("docker")
    host.start("docker")
    host.wait_until("the network elements", lambda: set(ELEMENTS) <= running(host))
    assert told() == before + 1
