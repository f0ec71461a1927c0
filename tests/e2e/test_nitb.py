"""The network in the box: what the README of 2018 shows, word for word, on a real box with Docker and Osmocom.

The role is `box`, the machine unlike any made for guests: AHCI, e1000e, the chipset's watchdog, Debian's whole kernel.
One machine tells the story, in the order of the tests: the first boot, the sanity checks of the old README, a commit
that changes a user container's configuration, and one that breaks it. User data stays where it is all the time.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gitops.assemble.formats.disk import Sizes
from gitops.lab.hardware import PLAIN
from gitops.lab.machine import Machine
from gitops.model import Health, Phase, Verdict
from tests.e2e.field import BOX, Field
from tests.kit import built

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

LONG = 1200.0
"""Seconds: Docker and seven programs start under emulation, beside another machine."""
BOX_FILE = "role: box\nhealth: {probation: 90}\n"
"""Five times as long may pass until Docker has replaced every container of the release before."""
SIZES = Sizes(esp=200, toweros=1600, state=3000)
SERVICES = ("sshd", "compose", "dhcpcd", "docker", "ntpd", "rngd")
ELEMENTS = ("osmo-stp", "osmo-hlr", "osmo-mgw", "osmo-msc", "osmo-bsc", "osmo-bts")
DOCKER = "ctr -n services.linuxkit t exec --exec-id {} docker docker {}"
IMSI = "901700000000001"
MICROCODE = "amd-ucode.cpio"
HLR = "boot/compose/osmo-nitb/osmo-hlr.cfg"
COMPOSE = "boot/compose/osmo-nitb/docker-compose.yml"


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with built.alone("nitb"):
        made = Field(built.FOLDER / "nitb", BOX_FILE)
        with_microcode(made)
        made.apply()
        built.give_back(made.store)
        made.serve()
        yield made
        made.close()


def with_microcode(field: Field) -> None:
    spec = field.fleet / "boot/box.yml"
    text = spec.read_text()
    spec.write_text(text.replace('kernel-full"\n', f'kernel-full"\n  ucode: {MICROCODE}\n'))
    assert spec.read_text() != text
    field.commit("Microcode before the initrd")


@pytest.fixture(scope="module")
def machine(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = field.new_disk(tmp_path_factory.mktemp("nitb"), SIZES)
    made.hardware = replace(made.hardware, memory=2048, board=PLAIN)
    made.serial.unlink(missing_ok=True)
    with made:
        field.wait_healthy(field.state().enrolled, LONG)
        yield made


def docker(field: Field, words: str) -> str:
    """Run Docker's client as the old README does, in the docker service."""
    return field.ssh(DOCKER.format(f"t{time.monotonic_ns()}", words))


def try_docker(field: Field, words: str) -> str:
    return field.try_ssh(DOCKER.format(f"t{time.monotonic_ns()}", words))


def vty(field: Field, element: str, port: int, *commands: str) -> str:
    """Ask a network element over its VTY."""
    words = " ".join(f'"{command}"' for command in commands)
    return try_docker(field, f"exec {element} vty {port} {words}")


def subscribers(field: Field) -> str:
    return vty(field, "osmo-hlr", 4258, "show subscribers all")


def test_its_initrd_begins_with_the_microcode_that_the_spec_names(field: Field, machine: Machine) -> None:
    published = field.store.offers.published(BOX)
    assert published
    initrd = field.store.blobs.read(published.release.content.initrd.sha256)
    assert b"kernel/x86/microcode/AuthenticAMD.bin" in initrd[:300]


def test_every_service_of_the_old_readme_is_running(field: Field, machine: Machine) -> None:
    tasks = field.ssh("ctr -n services.linuxkit t ls")
    for name in SERVICES:
        assert [line.split()[2] for line in tasks.splitlines() if line.split()[0] == name] == ["RUNNING"], tasks


def test_docker_ps_shows_the_osmocom_containers_by_the_old_readmes_words(field: Field, machine: Machine) -> None:
    """The base station ends itself while its controller is away, and is started again: that is waited for."""

    def shown() -> bool:
        lines = field.try_ssh("ctr -n services.linuxkit t exec --exec-id 2 docker docker ps").splitlines()
        ours = [(name, line) for name in ELEMENTS for line in lines if line.rstrip().endswith(name)]
        up = [name for name, line in ours if f"127.0.0.1:5000/{name}" in line and "Up" in line]
        return up == list(ELEMENTS)

    field.wait_until("six lines", shown)


def test_the_network_is_connected_up_to_the_radio(field: Field, machine: Machine) -> None:
    def asps(element: str, port: int) -> str:
        return vty(field, element, port, "show cs7 instance 0 asp")

    field.wait_until("the BSC at the STP", lambda: "ASP_ACTIVE" in asps("osmo-bsc", 4242))
    field.wait_until("the MSC at the STP", lambda: "ASP_ACTIVE" in asps("osmo-msc", 4254))
    field.wait_until("the MSC at the HLR", lambda: "MSC" in vty(field, "osmo-hlr", 4258, "show gsup-connections"))


def test_denied_paths_and_calls_are_denied(field: Field, machine: Machine) -> None:
    assert docker(field, "exec osmo-hlr cat /proc/self/attr/current").strip() == "osmo-hlr (enforce)"
    assert "Permission denied" in docker(field, "exec osmo-hlr sh -c 'cat /etc/passwd 2>&1; true'")
    assert "root:" in docker(field, "exec osmo-stp cat /etc/passwd"), "another profile lets it"
    fifo = "exec osmo-bts sh -c 'mkfifo /tmp/x 2>&1; true'"
    field.wait_until("the base station to run, and seccomp", lambda: "not permitted" in try_docker(field, fifo))


def test_what_boots_the_box_is_out_of_reach_of_a_privileged_container(field: Field, machine: Machine) -> None:
    image = docker(field, "inspect --format {{.Config.Image}} osmo-hlr").strip()
    line = (
        f"run --rm --privileged -u 0 -v /dev:/dev {image} sh -c 'head -c 1 /dev/sda2 2>&1; ls /run/toweros 2>&1; true'"
    )
    said = docker(field, line)
    assert "Operation not permitted" in said and "No such file" in said, said


def test_a_commit_changes_a_user_container_and_its_data_stays(field: Field, machine: Machine) -> None:
    vty(field, "osmo-hlr", 4258, f"subscriber imsi {IMSI} create")
    field.wait_until("the subscriber", lambda: IMSI in subscribers(field))
    before, since = field.report(), int(time.time())
    done = field.change(HLR, (field.fleet / HLR).read_text() + f"! {time.time()}\n", "A comment for the HLR")
    assert done.plan.builds == () and done.published == (BOX,)
    report = field.wait_healthy(since, LONG)
    assert report.boot_id != before.boot_id
    field.wait_until("the subscriber", lambda: IMSI in subscribers(field))
    assert report.fetched["bytes"] < 256 * 1024, "no image travels again"


def test_a_broken_user_container_is_undone_with_its_release_and_the_data_stays(field: Field, machine: Machine) -> None:
    before, text = field.report(), (field.fleet / COMPOSE).read_text()
    broken = text.replace(
        "container_name: osmo-hlr\n", f'container_name: osmo-hlr\n    command: ["false", "{time.time()}"]\n'
    )
    assert broken != text
    assert field.change(COMPOSE, broken, "An HLR that ends at once").published == (BOX,)
    wanted = field.store.offers.published(BOX)
    assert wanted

    def undone() -> bool:
        report = field.report()
        failure = {failure.release: failure for failure in report.failures}.get(wanted.document.sha256)
        return bool(
            failure
            and failure.verdict == Verdict.FAILED
            and "osmo-hlr" in failure.reason
            and report.phase == Phase.IDLE
        )

    field.wait_until("the box to go back", undone, LONG)
    field.wait_until("a healthy box", lambda: field.report().health == Health.HEALTHY, LONG)
    assert field.report().release == before.release
    field.wait_until("the subscriber", lambda: IMSI in subscribers(field))
