"""`remote:` of the fleet, a role or a box, and what a release has of it."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.model import Fleet
from tests.kit.fleets import BOOT, TREE

KEY = "ssh-ed25519 " + "A" * 68 + " ssh-user-ca\n"


def written(box: str, of: Fleet) -> dict[str, str]:
    place = "etc/toweros/remote/"
    return {each["path"].removeprefix(place): each["contents"] for each in of.boxes[box].files if place in each["path"]}


SAID = {"keys/ssh_user_ca.pub": KEY}


def load(files: dict[str, str]) -> Fleet:
    return load_fleet(TREE.with_files(files))


def refused(files: dict[str, str]) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load(files)
    assert all(each.hint for each in caught.value.problems)
    return [f"{each.file}:{each.line}: {each.message}" for each in caught.value.problems]


def test_nothing_is_let_in_unless_somebody_says_so() -> None:
    assert written("one", load(SAID)) == {}


def test_the_nearest_level_counts_and_none_takes_it_back() -> None:
    files = {"fleet.yaml": "source: {branch: main}\nremote: logs\n", "boxes/one.yaml": "role: vm\nremote: shell\n"}
    made = load(SAID | files | {"boxes/two.yaml": "role: vm\nremote: none\n"})
    assert written("one", made) == {"allows": "shell\n", "authority.pub": KEY, "principals": "restrict,pty one\n"}
    logs = 'restrict,command="/usr/bin/toweros-logs" three\n'
    assert written("three", made) == {"allows": "logs\n", "authority.pub": KEY, "principals": logs}
    assert written("two", made) == {}


def test_who_would_vouch_for_people_and_what_lets_them_in_must_be_there() -> None:
    box = {"boxes/one.yaml": "role: vm\nremote: logs\n"}
    assert refused(box) == ["boxes/one.yaml:2: nobody could vouch for people: there is no keys/ssh_user_ca.pub"]
    for text in ("", "ssh-rsa AAAA\n", KEY + "and this\n"):
        assert refused(box | {"keys/ssh_user_ca.pub": text})[0].startswith("keys/ssh_user_ca.pub:")
    without = BOOT.replace('  - {name: sshd, image: "@pkg:../pkg/sshd"}\n', "")
    said = "boxes/one.yaml:2: people come in by the service sshd, and there is none"
    assert refused(box | SAID | {"boot/a.yml": without}) == [said]
    assert "remote" in refused({"boxes/one.yaml": "role: vm\nremote: root\n"} | SAID)[0]
