"""What a plan says: which packages and boxes, in which order, and why."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gitops.model import Action, Box, Container, Existing, Fleet, Package, Plan, Policy, Revision, Spec
from gitops.plan import box_key, plan
from tests.kit.fleets import PACKAGES, load, package
from tests.simulators.tree import DictTree

REVISION = Revision("main", "ab" * 20, 7, 1_790_000_000)
TREE = PACKAGES.with_files(dict(package("pkg/initrd", "pkg/toolbox") | package("pkg/bootloader", "pkg/toolbox")))


def box(name: str, *services: str) -> Box:
    found = tuple(Container(path.rpartition("/")[2], f"@pkg:{path}") for path in services)
    return Box(name, "vm", Spec("@pkg:pkg/kernel", "quiet", services=found))


def fleet(tree: DictTree = TREE, *boxes: Box, recipe: int = 1) -> Fleet:
    named = boxes or tuple(box(f"demo-{number}", "pkg/sshd", "pkg/hello") for number in range(1, 8))
    return Fleet(Policy(recipe=recipe), load(tree, recipe), {each.name: each for each in named})


def carried_out(done: Fleet) -> Existing:
    """What exists after a pass over a fleet."""
    images = frozenset(package.key for package in done.packages.values())
    boxes = {name: box_key(done, each) for name, each in done.boxes.items()}
    return Existing(images, boxes, {path: package.key for path, package in done.packages.items()})


def after(before: Fleet, now: Fleet) -> Plan:
    return plan(now, REVISION, carried_out(before))


def test_nothing_new_is_no_changes() -> None:
    changes = after(fleet(), fleet(TREE.with_files({"README.md": "x"})))
    assert changes.empty


def test_the_first_plan_builds_bases_first() -> None:
    changes = plan(fleet(), REVISION, Existing())
    order = [step.subject for step in changes.builds]
    assert set(order) == {f"pkg/{n}" for n in ("toolbox", "base", "sshd", "hello", "kernel", "initrd", "bootloader")}
    assert order.index("pkg/toolbox") < order.index("pkg/base") < order.index("pkg/hello")
    assert {step.reason for step in (*changes.builds, *changes.boxes)} == {"new"}
    assert {step.action for step in changes.boxes} == {Action.CREATE}


def test_one_service_touched_is_one_package_and_every_box_with_it() -> None:
    changes = after(fleet(), fleet(TREE.with_files({"pkg/hello/file": "x"})))
    assert [step.subject for step in changes.builds] == ["pkg/hello"]
    assert {(step.action, step.reason) for step in changes.boxes} == {(Action.UPDATE, "pkg/hello changed")}
    assert len(changes.boxes) == 7


def test_the_base_touched_says_why_each_dependant_is_built() -> None:
    changes = after(fleet(), fleet(TREE.with_files({"pkg/base/file": "x"})))
    assert [(step.subject, step.reason) for step in changes.builds] == [
        ("pkg/base", "its folder, its base image or the recipe changed"),
        ("pkg/hello", "stands on pkg/base, which changed"),
        ("pkg/sshd", "stands on pkg/base, which changed"),
    ]
    assert {step.reason for step in changes.boxes} == {"pkg/base changed"}


def test_a_chain_is_told_whole() -> None:
    changes = after(fleet(), fleet(TREE.with_files({"pkg/toolbox/file": "x"})))
    reasons = {step.subject: step.reason for step in changes.builds}
    assert reasons["pkg/hello"] == "stands on pkg/base, which stands on pkg/toolbox, which changed"


NETWORK = "network, links, proxy or clocks"


def test_only_the_box_whose_own_words_changed_is_made_again() -> None:
    one, two = box("one", "pkg/sshd"), box("two", "pkg/sshd")
    changes = after(fleet(TREE, one, two), fleet(TREE, one, replace(two, files=({"path": "/etc/motd"},))))
    assert [(step.subject, step.reason) for step in changes.boxes] == [
        (
            "two",
            "its spec, network, links, proxy or clocks, health checks, files, poll, apps, disk, noc,"
            " remote access, copies or the recipe changed",
        )
    ]
    assert not changes.builds


def test_labels_sites_and_holds_change_no_box() -> None:
    one = box("one", "pkg/sshd")
    held = replace(one, site="lab", labels=(("owner", "ada"),), suspended="ada: disk", role="other")
    assert after(fleet(TREE, one), fleet(TREE, held)).empty


def test_a_box_that_git_no_longer_has_is_removed() -> None:
    changes = after(fleet(TREE, box("one"), box("two")), fleet(TREE, box("one")))
    assert [(step.subject, step.action) for step in changes.removed] == [("two", Action.REMOVE)]


def test_a_package_that_no_box_needs_is_not_built() -> None:
    extra = TREE.with_files(dict(package("pkg/unused", "pkg/base")))
    assert after(fleet(), fleet(extra)).empty


def test_an_image_that_was_lost_is_built_again_and_no_box_changes() -> None:
    now = fleet()
    there = carried_out(now)
    lost = replace(there, images=there.images - {now.packages["pkg/hello"].key})
    changes = plan(now, REVISION, lost)
    assert [(step.subject, step.reason) for step in changes.builds] == [
        ("pkg/hello", "its image is no longer in the store")
    ]
    assert not changes.boxes


def test_another_recipe_changes_everything() -> None:
    changes = after(fleet(), fleet(TREE, recipe=2))
    assert len(changes.builds) == 7 and len(changes.boxes) == 7


@given(st.sets(st.sampled_from(["toolbox", "base", "sshd", "hello", "kernel", "initrd", "bootloader"])))
def test_every_build_comes_after_what_it_stands_on_and_a_second_plan_is_empty(touched: set[str]) -> None:
    now = fleet(TREE.with_files({f"pkg/{name}/file": "touched" for name in touched}))
    changes = after(fleet(), now)
    order = [step.subject for step in changes.builds]
    for path in order:
        known: Package = now.packages[path]
        assert all(order.index(base) < order.index(path) for base in known.depends if base in order)
    assert changes.empty == (not touched)
    assert after(now, now).empty
