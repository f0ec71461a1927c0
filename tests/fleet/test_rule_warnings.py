"""Rules on paths that protect less than they seem to are told, in `validate` and in the plan, and stop nobody."""

import subprocess
from pathlib import Path

import pytest

from gitops.fleet import load_fleet, rule_warnings
from gitops.model import Revision
from gitops.review.text import render
from gitops.workflows.preview import Question, preview
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.people import People
from tests.simulators.tree import DictTree

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
ALL = "keys, fleet.yaml"


def ruled(people: People, paths: str, sign: str = "head") -> DictTree:
    rules = f"source: {{sign: {sign}, rules: [{{paths: [{paths}], signers: [ada]}}]}}\n"
    return TREE.with_files({"fleet.yaml": rules, "keys/allowed_signers": people.allowed("ada")})


@pytest.mark.parametrize("pattern", ['"Boxes/**"', '"boxes/*.yml"', "one.yaml", '"!boxes"', '"boxes/[xy]*"'])
def test_a_rule_that_covers_nothing_is_told(people: People, pattern: str) -> None:
    (said,) = rule_warnings(ruled(people, f"{ALL}, {pattern}"))
    assert f"`{pattern.strip(chr(34))}` covers no file" in said


def test_rules_that_leave_out_keys_or_policy_are_told(people: People) -> None:
    assert [said.split()[4].rstrip(":") for said in rule_warnings(ruled(people, "boxes"))] == [
        "fleet.yaml", "keys/allowed_signers"
    ]  # fmt: skip
    assert rule_warnings(ruled(people, f"{ALL}, boxes")) == []
    assert rule_warnings(ruled(people, '"**"')) == []
    assert rule_warnings(TREE) == []


def test_trust_of_a_spec_is_never_passed_over_in_silence() -> None:
    """LinuxKit took Docker Content Trust out, and kept the word: whoever wrote it believes that images are checked."""
    spec = "kernel: {cmdline: console=ttyS0}\n# trust: none\ntrust:\n  org: [linuxkit]\n"
    (said,) = rule_warnings(TREE.with_files({"boot/old.yml": spec, "boot/new.yml": "services: []\n"}))
    assert said.startswith("boot/old.yml:4: `trust` checks nothing") and "keys/cosign/" in said


def test_a_file_that_a_mount_covers_is_told() -> None:
    """As LinuxKit's, our /var, /run and /tmp are memory: what an image has there is gone before anything runs."""
    spec = "files:\n  - {path: etc/x, contents: x}\n  - {path: /var/lib/x, contents: x}\n"
    (said,) = rule_warnings(TREE.with_files({"boot/old.yml": spec, "boot/odd.yml": "files: 7\ntrust: {}\n"}))
    assert said == "boot/old.yml:3: no container sees /var/lib/x: init mounts over /var at each boot"
    (said,) = rule_warnings(TREE.with_files({"roles/vm.yaml": "boot: []\nfiles:\n- {path: run/a, contents: x}\n"}))
    assert said.startswith("roles/vm.yaml:3: no container sees /run/a")


def test_a_warning_is_in_the_plan_even_if_nothing_else_is(people: People) -> None:
    tree = ruled(people, "boxes")
    text = render(preview(Question((OLD, tree), (NEW, tree)), None))
    assert "leave out fleet.yaml" in text and "leave out keys/allowed_signers" in text
    assert load_fleet(tree)


def test_validate_warns_and_is_content(people: People, tmp_path: Path) -> None:
    starts = {f"pkg/{name}/Dockerfile": f'FROM scratch\nCMD ["/{name}"]\n' for name in ("hello", "sshd")}
    tree = ruled(people, '"boxes/[xy]*", keys, fleet.yaml').with_files(starts)
    for path in tree.entries():
        place = tmp_path / "fleet" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tree.read(path))
    done = toweros("validate", tmp_path / "fleet")
    assert done.exit_code == 0, done.output
    assert "`boxes/[xy]*` covers no file" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("rollout", "told"),
    [
        (
            "waves: [{name: lab, labels: {ring: lba}}]",
            "waves: lab: no box has the label ring: lba; did you mean `lab`?",
        ),
        ("waves: [{name: lab, labels: {rin: lab}}]", "waves: lab: no box has the label rin: lab; did you mean `ring`?"),
        ("waves: [{name: lab, boxes: [kios-1]}]", "waves: lab: no box is called kios-1; did you mean `kiosk-1`?"),
        ("waves: [{name: lab, roles: [vmm]}]", "waves: lab: no box has the role vmm; did you mean `vm`?"),
        ("waves: [{name: lab, sites: [rof]}]", "waves: lab: no box is at the site rof; did you mean `roof`?"),
        ("max_unavailable: {sites: 2}", "max_unavailable: no box has a label sites; did you mean `site`?"),
        ("never_together: [rings]", "never_together: no box has a label rings; did you mean `ring`?"),
    ],
)
def test_a_wave_that_nobody_is_in_is_told(rollout: str, told: str) -> None:
    """It keeps nobody waiting: a mistyped label sends a release to the whole fleet at once."""
    box = "role: vm\nsite: roof\nlabels: {ring: lab}\n"
    tree = TREE.with_files({"boxes/kiosk-1.yaml": box, "fleet.yaml": f"poll: 30\nrollout: {{{rollout}}}\n"})
    assert rule_warnings(tree) == [f"fleet.yaml:2: rollout.{told}"]


def test_a_rollout_whose_names_are_all_of_boxes_is_passed_over_in_silence() -> None:
    waves = "waves: [{name: lab, boxes: [kiosk-1], roles: [vm], sites: [roof], labels: {ring: lab}}, {name: all}]"
    rules = f"{waves}, max_unavailable: {{fleet: 1, site: 1, ring: 1}}, never_together: [site, ring]"
    files = {"boxes/kiosk-1.yaml": "role: vm\nsite: roof\nlabels: {ring: lab}\n"}
    assert rule_warnings(TREE.with_files({**files, "fleet.yaml": f"rollout: {{{rules}}}\n"})) == []


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_line_by_which_sshd_lets_nobody_in_is_told(tmp_path: Path, kind: str) -> None:
    """ssh-keygen makes the good ones; sshd is silent about the others."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ada's", "-f", tmp_path / "key"], check=True)
    good = (tmp_path / "key.pub").read_text().strip()
    first, key, _ = good.split()
    lines = [
        "# those who may log in", good, f'from="10.0.0.0/8",command="a b \\"c\\"" {good}', f"  {first} {key}",
        f"{first} {key[:-8]} cut", f"{first} AAAA", f"ssh-dss {key}", "ada", f"ssh-dss{good}", f"{first}\n{key}",
    ]  # fmt: skip
    tree = TREE.with_files({"keys/authorized_keys": "\n".join([*lines, ""])})
    numbers = [int(said.split(":")[1]) for said in rule_warnings(tree)]
    assert numbers == [5, 6, 7, 8, 9, 10, 11]
    assert load_fleet(tree).boxes, "it stops no deployment"
