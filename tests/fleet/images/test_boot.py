"""Images that boot specs name: each says which one it is, or is a mistake with its line and the fix."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.images.tracked import tracked
from gitops.plan import box_keys
from tests.simulators.tree import DictTree

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
SPEC = f"""kernel: {{image: "web.example/kernel:6.12", cmdline: quiet}}
init: ["web.example/init:1"]
onboot:
  - {{name: sysctl, image: "web.example/sysctl@{A}"}}
services:
  - {{name: ntp, image: "web.example/ntp:4.2"}}
volumes:
  - {{name: data, image: "web.example/seed:1"}}
"""
LOCK = "".join(f"web.example/{name} {B}\n" for name in ("init:1", "kernel:6.12", "ntp:4.2", "seed:1"))
FILES = {
    "fleet.yaml": "source: {branch: main}\n",
    "roles/vm.yaml": "boot: [boot/a.yml]\n",
    "boxes/a.yaml": "role: vm\n",
    "keys/authorized_keys": "ssh-ed25519 AAAA ada\n",
    "keys/root.json": "{}",
    "boot/a.yml": SPEC,
    "images.lock": LOCK,
}


def test_tags_mean_what_the_lock_says_for_kernel_init_containers_and_volumes() -> None:
    spec = load_fleet(DictTree(FILES)).boxes["a"].spec
    assert spec.images() == (
        f"web.example/kernel:6.12@{B}",
        f"web.example/init:1@{B}",
        f"web.example/sysctl@{A}",
        f"web.example/ntp:4.2@{B}",
        f"web.example/seed:1@{B}",
    )


def test_the_lock_knows_which_tags_boot_specs_name() -> None:
    assert [one.written for one in tracked(DictTree(FILES))] == [line.partition(" ")[0] for line in LOCK.splitlines()]
    unused = DictTree(FILES).with_files({"roles/vm.yaml": "boot: [boot/b.yml]\n"})
    assert tracked(unused) == (), "a spec of no role is asked for by nobody"


def test_a_tag_that_moves_makes_the_boxes_again_that_name_it() -> None:
    before = box_keys(load_fleet(DictTree(FILES)))
    moved = DictTree(FILES).with_files({"images.lock": LOCK.replace(f"ntp:4.2 {B}", f"ntp:4.2 {A}")})
    assert box_keys(load_fleet(moved)) != before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("web.example/ntp:4.3", "boot/a.yml:6:24: `web.example/ntp:4.3` is named by a tag.*`toweros lock images.lock`"),
        ("ntp", "`ntp` has neither tag nor digest; add a tag"),
        ("web.example/ntp@sha512:" + "a" * 128, "a digest of the kind sha512; write its SHA-256 digest"),
        ("web.example/ntp@sha256:" + "a" * 63, "no whole digest"),
        ("web.example/ntp@sha256:" + "A" * 64, "no whole digest; 64 digits"),
        ("web.example/Ntp:4.3 ", "is no name of an image; write NAME@sha256"),
        ("https://web.example/ntp:4", "is no name of an image"),
        ("../ntp:1", "is no name of an image"),
    ],
)
def test_what_does_not_say_which_image_it_is_is_a_mistake_with_the_fix(name: str, said: str) -> None:
    tree = DictTree(FILES).with_files({"boot/a.yml": SPEC.replace("web.example/ntp:4.2", name)})
    with pytest.raises(FleetError, match=said):
        load_fleet(tree)


def test_every_mistake_of_a_spec_is_told_in_one_run() -> None:
    with pytest.raises(FleetError) as caught:
        load_fleet(DictTree(FILES).with_files({"images.lock": None}))
    assert [problem.line for problem in caught.value.problems] == [1, 2, 6, 8]
