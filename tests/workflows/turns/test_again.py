"""What failed is tried again on the boxes where it failed, and on no other: real passes, and the command."""

from dataclasses import replace

import pytest

from gitops.publish.folder import Folder
from gitops.publish.targets import RELEASE, box_of
from gitops.sign import Signer
from gitops.store.notes.documents import Retries
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

RULES = (
    "source: {branch: main}\n"
    "rollout: {canaries: 3, max_failures: 9,"
    " waves: [{name: lab, boxes: [a, b], failed: 2}, {name: mast, boxes: [c]}]}\n"
)


def reasons(site: Site) -> dict[str, list[str]]:
    """What the signed metadata tell each box."""
    site.run()
    targets = Signer.open(site.settings.keys, site.store).targets(Folder(site.store.paths.metadata).read)
    told = {box_of(path): target.custom.get("retry", []) for path, target in targets.items() if RELEASE in path}
    return {box: why for box, why in told.items() if why}


def knows_retry(site: Site, *boxes: str) -> None:
    for box in boxes:
        report = site.store.boxes.report(box)
        assert report
        assert site.store.boxes.save_report(replace(report, counter=report.counter + 1, retried=()))


@pytest.fixture
def fleet(site: Site) -> Site:
    """Three boxes are offered something newer; it failed on `a` and `c`, and `b` is well."""
    site.commit({"fleet.yaml": RULES, "boxes/c.yaml": "role: own\n", "roles/own.yaml": "boot: [boot/a.yml]\n"})
    site.run()
    for box in "abc":
        site.report(box)
    site.commit(HELLO)
    site.run()
    for box in "ab":
        site.report(box)
    site.run()
    for box in "ac":
        site.report(box, failed=True)
    knows_retry(site, *"abc")
    return site


def retry(site: Site, *words: str) -> str:
    done = toweros("retry", *words, "-m", "the mast was down", "--who", "ada", "--yes", "--state", site.settings.state)
    return done.stdout + done.stderr + str(done.exception or "")


def test_the_failed_alone_are_told_and_nobody_else(fleet: Site) -> None:
    assert "a, c try again" in retry(fleet, "--failed")
    told = reasons(fleet)
    assert told.keys() == {"a", "c"} and all(why[0].startswith("ada: the mast was down") for why in told.values())


def test_of_a_wave_or_a_role_alone(fleet: Site) -> None:
    assert "a tries again" in retry(fleet, "--failed", "--wave", "lab") and reasons(fleet).keys() == {"a"}
    assert "c tries again" in retry(fleet, "--failed", "--role", "own") and reasons(fleet).keys() == {"a", "c"}
    assert "c tries again" in retry(fleet, "--role", "own") and "a tries again" in retry(fleet, "--wave", "lab")
    assert "no box has the role owm" in retry(fleet, "--role", "owm")
    assert "there is no wave lib" in retry(fleet, "--failed", "--wave", "lib")
    assert "no box failed" in retry(fleet, "--failed", "--wave", "rest")


@pytest.mark.parametrize("words", [(), ("a", "--failed"), ("a", "--wave", "lab")], ids=["nobody", "both", "wave"])
def test_who_is_meant_is_said_or_asked(fleet: Site, words: tuple[str, ...]) -> None:
    assert "which boxes are meant is not clear" in retry(fleet, *words) and not fleet.store.notes.get(Retries)


def test_a_box_that_cannot_try_again_keeps_no_other_from_it(fleet: Site) -> None:
    report = fleet.store.boxes.report("a")
    assert report
    assert fleet.store.boxes.save_report(replace(report, counter=report.counter + 1, retried=None))
    said = retry(fleet, "--failed")
    assert "the agent on a is too old" in said and "c tries again" in said


def test_a_reason_is_about_what_failed_then_and_no_later_release_has_a_second_try_by_it(fleet: Site) -> None:
    retry(fleet, "--failed")
    assert reasons(fleet).keys() == {"a", "c"}
    fleet.commit(WORSE)
    assert reasons(fleet) == {}


def test_a_commit_says_the_same_for_a_role(fleet: Site) -> None:
    fleet.commit({"roles/own.yaml": 'boot: [boot/a.yml]\nretry: "ada: the mast was down"\n'})
    assert reasons(fleet) == {"c": ["ada: the mast was down"]}
