"""What people read of a plan: classes of change, sizes, versions, policy, digest, and the comment that holds it all."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gitops.assemble.formats.disk import MIB, Sizes
from gitops.errors import FleetError, Problem, SourceError
from gitops.model import Action, BlobRef, Content, HealthSpec, Layer, Release, Revision, sha256
from gitops.model.room import Room
from gitops.review.markdown import LIMIT, markdown, marker, plain
from gitops.review.nouns import Change, Group, Ruling, Summary, Verdict, Version
from gitops.review.sizes import DISK, Measured
from gitops.review.text import render, size
from gitops.workflows.preview import Question, preview
from gitops.workflows.reviews.reviewer import mistakes
from tests.kit.fleets import BOOT, TREE, lock, package
from tests.simulators.tree import DictTree

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)


def review(change: Mapping[str, str | None], verdict: Verdict | None = None, tree: DictTree = TREE) -> Summary:
    """The summary of a change, without a controller's state."""
    return preview(Question((OLD, tree), (NEW, tree.with_files(change)), verdict or Verdict()), None)


APP = {
    "fleet.yaml": "source: {branch: main}\n",
    "boot/a.yml": BOOT.replace("sshd, ", "docker, ", 1) + '  - {name: compose, image: "@pkg:../pkg/sshd"}\n',
    "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/net}]\n",
    "boot/compose/net/docker-compose.yml": 'services:\n  hlr: {image: "@pkg:../../../pkg/hlr"}\n',
    "boot/compose/net/hlr.cfg": "log stderr\n",
    **package("pkg/hlr", "pkg/base"),
}


def only(summary: Summary) -> Group:
    assert len(summary.groups) == 1, summary.groups
    return summary.groups[0]


# --- classes of change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"pkg/hello/file": "x"}, Change.services, "pkg/hello changed"),
        ({"pkg/kernel/file": "x"}, Change.kernel, "pkg/kernel changed"),
        ({"pkg/initrd/file": "x"}, Change.kernel, "pkg/initrd changed"),
        ({"boot/a.yml": BOOT.replace("quiet", "quiet panic=5")}, Change.kernel, "kernel arguments changed"),
        ({"boot/a.yml": BOOT.replace("sshd,", "sshd, net: host,")}, Change.services, "container sshd changed"),
        (
            {"roles/vm.yaml": "boot: [boot/a.yml]\nremove: [hello]\n"},
            Change.services,
            "container hello removed changed",
        ),
        ({"keys/authorized_keys": "ssh-ed25519 AAAA ada\n"}, Change.config, "/etc/ssh/authorized_keys changed"),
        ({"fleet.yaml": "source: {branch: main}\npoll: 60\n"}, Change.config, "poll changed"),
        ({"roles/vm.yaml": "boot: [boot/a.yml]\nhealth: {probation: 9}\n"}, Change.config, "health checks changed"),
        (
            {"pkg/hello/file": "x", "keys/authorized_keys": "ada\n"},
            Change.services,
            "pkg/hello, /etc/ssh/authorized_keys changed",
        ),
    ],
)
def test_a_box_gets_the_gravest_class_and_every_cause(change: Mapping[str, str], kind: Change, reason: str) -> None:
    group = only(review(change))
    assert (group.change, group.reason, group.action) == (kind, reason, Action.UPDATE)
    assert group.boxes == ("one", "three", "two")


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"pkg/hlr/file": "x"}, Change.containers, "pkg/hlr changed"),
        ({"boot/compose/net/hlr.cfg": "x\n"}, Change.containers, "/etc/compose/net/hlr.cfg changed"),
        (
            {
                "boot/compose/net/docker-compose.yml": APP["boot/compose/net/docker-compose.yml"]
                + "  b: {image: x@sha256:"
                + "0" * 64
                + "}\n"
            },
            Change.containers,
            "app net, health checks changed",
        ),
        ({"pkg/base/file": "x"}, Change.services, "pkg/base changed"),
        ({"pkg/hlr/file": "x", "fleet.yaml": "poll: 60\n"}, Change.containers, "pkg/hlr, poll changed"),
    ],
)
def test_user_containers_alone_are_told_apart(change: Mapping[str, str], kind: Change, reason: str) -> None:
    group = only(review(change, tree=TREE.with_files(APP)))
    assert (group.change, group.reason) == (kind, reason)
    assert group.fetch[0] < 3_000_000


def test_a_readme_changes_nothing_and_says_so() -> None:
    summary = review({"README.md": "words"})
    assert summary.empty and summary.unchanged == 3
    assert render(summary) == "No changes."
    assert "**No changes.**" in markdown(summary)


def test_only_what_a_box_itself_says_touches_only_it() -> None:
    summary = review({"boxes/two.yaml": "role: vm\nnetwork: {address: 192.0.2.7/24}\n"})
    assert only(summary).boxes == ("two",) and only(summary).reason == "network changed"
    assert summary.unchanged == 2 and not summary.builds


def test_new_and_removed_boxes_are_told_apart() -> None:
    summary = review({"boxes/four.yaml": "role: vm\nnetwork: {dhcp: true}\n", "boxes/one.yaml": None})
    assert {(group.boxes, group.action, group.change) for group in summary.groups} == {
        (("four",), Action.CREATE, Change.new),
        (("one",), Action.REMOVE, Change.removed),
    }
    assert render(summary).endswith(
        "Plan: 0 packages to build, 0 layers to assemble, 1 box to create, 0 boxes to update, 1 to remove."
    )


def test_a_base_image_that_moved_is_the_reason_and_its_package_the_cause() -> None:
    bases = {"pkg/hello/Dockerfile": "FROM web.example/debian:13\n", "images.lock": "web.example/debian:13 sha256:{}\n"}
    based = TREE.with_files({path: text.format("a" * 64) for path, text in bases.items()})
    summary = review({"images.lock": bases["images.lock"].format("b" * 64)}, tree=based)
    assert [(step.subject, step.reason) for step in summary.builds if "stands on" not in step.reason] == [
        ("pkg/hello", "its base image web.example/debian:13 moved")
    ]
    assert (only(summary).change, only(summary).reason) == (Change.services, "pkg/hello changed")


def test_a_package_says_which_file_changed_or_what_it_stands_on() -> None:
    builds = review({"pkg/base/file": "x", "pkg/base/new": "y", "pkg/base/more": "z"}).builds
    reasons = {step.subject: step.reason for step in builds}
    assert reasons["pkg/base"] == "pkg/base/file, pkg/base/more and 1 more files changed"
    assert reasons["pkg/hello"] == "stands on pkg/base, which changed"


def test_held_boxes_and_a_changed_policy_are_named() -> None:
    change = {
        "fleet.yaml": "source: {branch: main, sign: head}\nnotify: [{name: ops, to: [hook]}]\n",
        "pkg/hello/file": "x",
        "boxes/two.yaml": 'role: vm\nnetwork: {dhcp: true}\nsuspended: "ada: disk"\n',
    }
    summary = review(change)
    assert summary.held == ("two",)
    assert "held, stay as they are: two" in render(summary)
    assert "sign: none -> head" in render(summary) and "notify: who is told by ops" in render(summary)


# --- sizes and versions ----------------------------------------------------------------------------------------------


def test_a_new_version_is_named_and_weighs_what_its_lock_says() -> None:
    summary = review({"pkg/sshd/packages.lock": lock("1:10.0p1-8", 2_000_000)})
    assert summary.versions == (Version("deb", "openssh-server", "1:10.0p1-7", "1:10.0p1-8", ("pkg/sshd",)),)
    least, most = only(summary).fetch
    assert 2_000_000 < least == most < 2_100_000 and only(summary).fits
    text = render(summary)
    assert "openssh-server 1:10.0p1-7 -> 1:10.0p1-8 (pkg/sshd)" in text
    assert "without the controller's state" in text and "about 2.0 MB to fetch" in text


def test_what_two_services_stand_on_is_fetched_once_and_a_kernel_brings_its_uki() -> None:
    base = only(review({"pkg/base/file": "x" * 1_000_000})).fetch[0]
    assert 2_000_000 < base < 2_100_000  # sshd stands on it, and may become another layer of its one megabyte
    kernel = only(review({"pkg/kernel/file": "x"})).fetch[0]
    assert 12 << 20 < kernel < 13 << 20


def test_a_release_that_does_not_fit_the_disk_is_said_loudly() -> None:
    summary = review({"pkg/sshd/packages.lock": lock("1:10.0p1-8", 900_000_000)})
    assert only(summary).fits is False
    assert only(summary).short == "the layers need 5311 MiB of TOWEROS, which has room for 1920 MiB"
    assert f"DOES NOT FIT ({only(summary).short})" in render(summary)
    assert f"| **no**: `{only(summary).short}` |" in markdown(summary)


def test_layers_made_and_reused_are_counted() -> None:
    summary = review({"pkg/hello/file": "x"})
    assert (summary.made, summary.reused) == (1, 5)  # toolbox, base, sshd, init and kernel stay


def test_the_disk_is_the_one_that_box_image_makes() -> None:
    assert Room.of_partitions(Sizes().toweros * MIB, Sizes().esp * MIB) == DISK


def release(sequence: int, *layers: bytes, cmdline: str = "quiet") -> Release:
    boot = BlobRef("ab" * 32, 1)
    content = Content(boot, boot, cmdline, tuple(Layer(sha256(data), 4096) for data in layers), (), HealthSpec())
    return Release("one", sequence, content)


def measured(before: Release | None, after: Release) -> Measured:
    return Measured(after, before, 20_000_000, 5000, {layer.root: 100 for layer in after.layers()})


def test_measured_sizes_are_those_of_the_layers_that_the_box_lacks() -> None:
    old = release(1, b"base", b"hello")
    new = measured(old, release(2, b"base", b"hello 2"))
    assert (new.fetch, new.disk) == (5100, 3 * 4096)
    assert measured(None, old).fetch == 20_005_200
    assert measured(old, release(2, b"base", b"hello", cmdline="loud")).fetch == 20_005_000
    same = measured(old, release(2, b"base", b"hello"))
    assert same.same and same.fetch == 0


def test_a_plan_with_measured_releases_is_exact_and_says_who_gets_the_same_content() -> None:
    old = release(1, b"base", b"hello")
    found = dict.fromkeys(("one", "two"), measured(old, release(2, b"base", b"hello 2")))
    found["three"] = measured(old, release(2, b"base", b"hello"))
    point = NEW, TREE.with_files({"pkg/hello/file": "x"})
    summary = preview(Question((OLD, TREE), point), None, found)
    assert summary.exact and (summary.made, summary.reused) == (1, 1)
    assert [(g.boxes, g.change, g.fetch) for g in summary.groups] == [
        (("one", "two"), Change.services, (5100, 5100)),
        (("three",), Change.unchanged, (0, 0)),
    ]
    assert "Sizes: measured" in render(summary) and "5.1 kB to fetch" in render(summary)
    assert summary.digest == review({"pkg/hello/file": "x"}).digest


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (20_500, "20.5 kB"), (3_100_000, "3.1 MB"), (2 * 10**12, "2000.0 GB")],
)
def test_sizes_are_decimal(number: int, text: str) -> None:
    assert size(number) == text


# --- the digest ------------------------------------------------------------------------------------------------------


def test_the_digest_names_the_change_and_not_the_commit() -> None:
    change = {"pkg/hello/file": "x"}
    reviewed = review(change)
    merged = preview(
        Question(
            (OLD, TREE), (replace(NEW, commit="cc" * 20, ref="main"), TREE.with_files(change)), Verdict(Ruling.ACCEPTED)
        ),
        None,
    )
    assert merged.digest == reviewed.digest and len(reviewed.digest) == 64
    assert review({"pkg/hello/file": "y"}).digest != reviewed.digest
    assert review({**change, "fleet.yaml": "source: {branch: main, sign: head}\n"}).digest != reviewed.digest


def test_json_says_the_same_as_the_table() -> None:
    said = json.loads(json.dumps(review({"pkg/hello/file": "x"}, Verdict(Ruling.ACCEPTED, signers=("ada",))).as_json()))
    assert said["layers"] == {"made": 1, "reused": 5} and said["sizes"] == "estimated" and said["format"] == 1
    assert said["groups"][0]["change"] == "services" and said["groups"][0]["boxes"] == ["one", "three", "two"]
    assert said["verdict"]["signers"] == ["ada"] and said["head"] == f"topic@sha1:{'bb' * 20}"


# --- the comment -----------------------------------------------------------------------------------------------------

WILD = st.text(st.characters(), max_size=400)


def big(boxes: int, kinds: int, word: str = "x") -> Summary:
    """A summary of many boxes that change in many ways."""
    each = boxes // kinds
    groups = tuple(
        Group(
            tuple(f"box-{kind}-{n}" for n in range(each)),
            Action.UPDATE,
            Change.services,
            f"{word} {kind}",
            (1, 2),
            True,
        )
        for kind in range(kinds)
    )
    versions = tuple(Version("deb", f"{word}-{n}", "1", "2", ("pkg/a",)) for n in range(kinds))
    policy = tuple(f"{word} {n}" for n in range(kinds))
    return Summary("a", "b", (), groups, versions=versions, policy=policy, digest="ab" * 32, held=(word,) * kinds)


@pytest.mark.parametrize(("boxes", "kinds"), [(1000, 1), (10_000, 1), (10_000, 10_000), (5000, 50)])
def test_a_comment_of_any_fleet_fits_and_keeps_head_and_digest(boxes: int, kinds: int) -> None:
    text = markdown(big(boxes, kinds, "w" * 290), marker("plan"))
    assert len(text.encode()) <= LIMIT
    assert text.startswith("<!-- toweros:plan -->\n") and text.rstrip().endswith(f"`sha256:{'ab' * 32}`")
    assert f"{boxes} boxes to update" in text
    assert text.count("<details>") == text.count("</details>")


def test_a_comment_uses_the_room_that_there_is_and_says_what_it_left_out() -> None:
    text = markdown(big(20_000, 1))
    assert LIMIT - 1000 < len(text.encode()) <= LIMIT
    assert "more; `toweros plan` names them" in text


def test_a_thousand_boxes_are_one_readable_row() -> None:
    text = markdown(big(1000, 1))
    rows = [line for line in text.splitlines() if line.startswith("| 1000:")]
    assert len(rows) == 1 and "and 994 more" in rows[0] and len(rows[0]) < 200


@settings(max_examples=200, deadline=None)
@given(WILD, st.integers(1, 300))
def test_words_of_the_repo_make_no_markup_and_never_break_the_bound(word: str, kinds: int) -> None:
    text = markdown(big(kinds, kinds, word))
    assert len(text.encode()) <= LIMIT
    table = [line for line in text.splitlines() if line.startswith("| 1: ")]
    assert table and all(line.count("|") == 6 and line.count("`") % 2 == 0 for line in table)


LIVE = ["https://evil.example/approve", "www.evil.example", "ada@evil.example", "@octo/owners", "octo/fleet#1", "GH-1"]
LIVE += ["0123456789abcdef0123456789abcdef01234567", "![x](https://evil.example/x.png)", "<https://evil.example>"]


def live(text: str) -> str:
    """What a forge would look for links and mentions in: text that is no code."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    words = [child for token in tokens for child in (token.children or [])]
    found = [word.content for word in words if word.type in ("text", "html_inline", "link_open", "image")]
    found += [str(word.attrs) for word in words if word.attrs]
    found += [re.sub("<code>.*?</code>", "", token.content) for token in tokens if token.type == "html_block"]
    return "\n".join(found)


@pytest.mark.parametrize("word", [*LIVE, f"`{LIVE[0]}`", f"\\`{LIVE[1]}", f"]{LIVE[2]}](", f"</code>{LIVE[3]}"])
def test_nothing_that_a_fork_can_name_becomes_a_link_or_a_mention(word: str) -> None:
    problems = [Problem(f"boxes/{word}.yaml", 1, 1, f"unknown key `{word}`", f"did you mean `{word}`?")]
    plans = markdown(big(3, 3, word)) + markdown(big(30, 1, word)) + mistakes(FleetError(problems))
    plans += mistakes(SourceError(word, hint=word))
    parts = ("evil", "octo", "GH-1", "01234567")
    assert any(part in plans for part in parts), "it is there, as code"
    for part in parts:
        assert part not in live(plans)


def test_an_advisory_s_title_is_no_link_either() -> None:
    assert plain("see https://evil.example, HTTP://evil.example and WWW.evil.example") == (
        "see https:// evil.example, HTTP:// evil.example and WWW. evil.example"
    )


def test_a_hostile_name_is_quoted() -> None:
    word = "<!-- toweros:plan --> @everyone `x` | [a](http://b) <script>\n# head"
    text = markdown(big(2, 2, word))
    assert "\n# head" not in text
    outside = "".join(text.split("`")[::2])
    assert "@everyone" not in outside and "<script" not in outside and "](" not in outside and "<!--" not in outside
