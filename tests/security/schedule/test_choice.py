"""Which updates may go, and what a commit says of them."""

from dataclasses import replace

import pytest

from gitops.model import Advisory, Component, Ecosystem, Finding, LockedFile, Severity, Standing
from gitops.model.updates.patching import Failed, Grouping, HeldSet, Move, Patching, Window
from gitops.model.updates.when import DAILY
from gitops.security.schedule.choice import Facts, Update, backward, choose, groups, key_of, moves, ripe_at, set_key
from gitops.security.schedule.knowledge import Nothing, mended
from gitops.security.schedule.message import message

OPENSSL, ZLIB = Move("openssl", "3.5.7-1", "3.5.9-1"), Move("zlib", "1.0-1", "1.1-1")
LINUX = Move("linux-signed-amd64", "6.12.117+1", "6.12.118+1")
BACK = Move("glibc", "2.41-2", "2.41-1")


def finding(move: Move, severity: Severity, number: int = 1, **words: str) -> Finding:
    component = Component(Ecosystem.debian, f"lib{move.source}", move.old, move.source, move.old)
    advisory = Advisory(f"CVE-2026-{number}", Ecosystem.debian, "debian:13", move.source, severity, **words)  # type: ignore[arg-type]
    return Finding(component, advisory, Standing.open, move.new)


def file(name: str, version: str, source: str = "", source_version: str = "") -> LockedFile:
    return LockedFile("deb", name, version, "ab" * 32, 1, f"pool/{name}_{version}.deb", source, source_version)


FACTS = Facts(1000, True, {"openssl": (finding(OPENSSL, Severity.high),)})


def why(move: Move, patching: Patching, window: Window = Window.packages, facts: Facts = FACTS) -> str:
    chosen = choose([move], patching, window, facts)
    assert len(chosen.go) + len(chosen.left) == 1
    return chosen.left[0][1] if chosen.left else ""


def test_moves_are_told_by_source_over_all_locks() -> None:
    before = {
        "pkg/a": (file("libssl3", "3.5.7-1", "openssl", "3.5.7-1"), file("gone", "1")),
        "pkg/b": (file("x", "1"),),
    }
    after = {"pkg/a": (file("libssl3", "3.5.9-1", "openssl", "3.5.9-1"), file("came", "1")), "pkg/b": (file("x", "1"),)}
    assert moves(before, after) == (OPENSSL,)


def test_rules_say_what_goes() -> None:
    assert why(OPENSSL, Patching()) == ""
    assert "packages" in why(OPENSSL, Patching(allow=("zlib*",)))
    assert "packages" in why(OPENSSL, Patching(leave=("open*",)))
    assert "critical" in why(OPENSSL, Patching(severities=(Severity.critical,)))
    assert why(OPENSSL, Patching(severities=(Severity.high,))) == ""


def test_what_is_not_known_keeps_nothing_back() -> None:
    critical = Patching(severities=(Severity.critical,))
    assert why(ZLIB, critical) and not why(ZLIB, critical, facts=replace(FACTS, known=False))


def test_a_version_that_is_older_never_goes() -> None:
    assert "older" in why(BACK, Patching())
    assert "older" in why(Move("a", "1:1.0", "2.0"), Patching()), "an epoch that is gone"
    assert "older" in why(Move("a", "1.0", "not a version"), Patching())


def test_the_kernel_has_its_own_time_where_it_is_said() -> None:
    own = Patching(kernel=DAILY)
    assert "kernel" in why(LINUX, own) and not why(LINUX, own, Window.kernel)
    assert "packages" in why(OPENSSL, own, Window.kernel) and not why(LINUX, Patching())


def test_a_set_that_failed_is_taken_apart() -> None:
    every = Patching(group=Grouping.all)
    chosen = choose([OPENSSL, ZLIB], every, Window.packages, FACTS)
    assert groups(chosen, every, FACTS) == (frozenset({"openssl", "zlib"}),)
    held = {set_key([ZLIB, OPENSSL]): HeldSet((OPENSSL, ZLIB), Failed.build, "no", 1)}
    apart = groups(chosen, every, replace(FACTS, held=held))
    assert apart == (frozenset({"openssl"}), frozenset({"zlib"}))
    assert set_key([OPENSSL]) != set_key([replace(OPENSSL, new="3.5.10-1")])


def test_a_lock_that_would_become_older_than_it_is_is_seen_whatever_others_have() -> None:
    before = {"pkg/a": (file("libssl3", "3.5.9-1", "openssl", "3.5.9-1"), file("libz", "1.0-1", "zlib"))}
    before["pkg/b"] = (file("libssl3", "3.5.7-1", "openssl", "3.5.7-1"),)
    lost = file("libssl3", "3.5.8-1", "openssl", "3.5.8-1")
    after = {"pkg/a": (lost, file("libz", "1.1-1", "zlib")), "pkg/b": (lost,)}
    assert backward(before, after) == {"openssl"} and not backward(before, {"pkg/b": (lost,)})
    chosen = choose(moves(before, after), Patching(), Window.packages, Facts(1000), backward(before, after))
    assert [update.move.source for update in chosen.go] == ["zlib"]


def test_the_worst_severity_says_how_long_a_set_waits() -> None:
    patching = Patching(soak=((Severity.high, 10), (Severity.unknown, 500)))
    facts = replace(FACTS, seen={key_of(OPENSSL): 900, key_of(ZLIB): 950})
    both = [Update(OPENSSL, Severity.high), Update(ZLIB)]
    assert [ripe_at(each, patching, facts) for each in (both[:1], both[1:], both)] == [910, 1450, 960]
    assert ripe_at([Update(BACK)], patching, facts) == 1500, "what was never seen counts from now"


class Feed:
    """Knows of one fault."""

    known = True

    def findings(self, components):  # type: ignore[no-untyped-def]
        old = [each for each in components if (each.source, each.source_version) == ("openssl", "3.5.7-1")]
        return tuple(replace(finding(OPENSSL, Severity.high), component=each) for each in old)


def test_what_an_update_mends_is_what_is_wrong_before_and_not_after() -> None:
    before, after = (
        {"a": (file("libssl3", v, "openssl", v), file("libcrypto", v, "openssl", v))} for v in ("3.5.7-1", "3.5.9-1")
    )
    assert {source: len(found) for source, found in mended(before, after, Feed()).items()} == {"openssl": 2}
    assert mended(before, before, Feed()) == {} and mended(before, after, Nothing()) == {}


def test_a_message_says_what_moves_what_it_fixes_and_where_to_read() -> None:
    found = finding(OPENSSL, Severity.high, title="Over\x1b[31mflow\nSigned-off-by: eve")
    text = message([Update(OPENSSL, Severity.high, (found, found))], ["pkg/sshd"], known=True)
    assert text == (
        "locks: openssl 3.5.7-1 -> 3.5.9-1 (1 advisory, high)\n\n"
        "openssl 3.5.7-1 -> 3.5.9-1\n"
        f"  CVE-2026-1 (high): Over [31mflow Signed-off-by: eve {found.advisory.link}\n\n"
        "Locks: pkg/sshd\n"
    )


@pytest.mark.parametrize("known", [True, False])
def test_a_message_of_several_says_how_many_and_that_nothing_is_known(known: bool) -> None:
    text = message([Update(OPENSSL), Update(ZLIB)], ["pkg/a", "pkg/b"], known=known)
    assert text.startswith("locks: 2 source packages updated\n\nopenssl 3.5.7-1 -> 3.5.9-1\nzlib 1.0-1 -> 1.1-1\n")
    assert ("not known" in text) is not known


def test_a_feed_that_says_very_much_is_cut() -> None:
    many = tuple(finding(OPENSSL, Severity.low, number, title="x" * 5000) for number in range(500))
    text = message([Update(OPENSSL, Severity.low, many)], ["pkg/a"], known=True)
    assert len(text) < 5000 and "and 480 more" in text


def test_what_is_not_known_of_one_source_is_said_and_keeps_it_from_nothing() -> None:
    facts = replace(FACTS, unsure=frozenset({"zlib"}))
    asked = Patching(severities=(Severity.high,))
    chosen = choose([OPENSSL, ZLIB], asked, Window.packages, facts)
    assert [update.move for update in chosen.go] == [OPENSSL, ZLIB]
    text = message(chosen.go, ["pkg/a"], known=True)
    assert text.count("not known") == 1 and text.index("zlib 1.0-1") < text.index("what else it fixes is not known")
    assert [update.move for update in choose([OPENSSL, ZLIB], asked, Window.packages, FACTS).go] == [OPENSSL]
