"""Which moved tags may be offered: digests have no order, so only time tells what was here before."""

from gitops.model.updates.patching import Move
from gitops.security.schedule.choice import Facts, set_key
from gitops.security.schedule.tags import BACK, choose_tags, message, parcel_name

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
WEB = "web.example/nginx:1"


def goes(move: Move, **seen: int) -> bool:
    digests = {"a": A, "b": B, "c": C}
    chosen = choose_tags([move], Facts(9, seen={f"{WEB} {digests[key]}": at for key, at in seen.items()}))
    assert bool(chosen.go) is not bool(chosen.left) and [why for _, why in chosen.left] in ([], [BACK])
    return bool(chosen.go)


def test_a_tag_that_goes_back_moves_nothing() -> None:
    assert goes(Move(WEB, A, B)) and goes(Move(WEB, A, B), a=1, b=2)
    assert goes(Move(WEB, A, B), a=1, b=1), "both were seen at the first look"
    assert not goes(Move(WEB, B, A), a=1, b=2)
    assert goes(Move(WEB, B, A), b=2), "what was here so long ago that nobody knows is new"
    assert goes(Move(WEB, A, C), a=1, b=2, c=3)
    assert not goes(Move(WEB, C, B), a=1, b=2, c=3), "held or not"
    assert goes(Move(WEB, f"{A}, {B}", B), a=1, b=2), "one of two that are here is no way back"


def test_a_message_has_short_digests_first_and_whole_ones_below() -> None:
    (update,) = choose_tags([Move("web.example:5000/nginx:1.27", f"{A}, {B}", C)], Facts(9)).go
    first, _, *body = message([update], {update.move.source: "ada.pub"}).splitlines()
    assert first == f"images: web.example:5000/nginx 1.27 {A[:19]}, {B[:19]} -> {C[:19]}"
    assert body == [update.move.source, f"  from {A}", f"  from {B}", f"  to {C}", "  signed by ada.pub"]
    assert str(update.move) == f"{update.move.source} {A[:19]}, {B[:19]} -> {C[:19]}"


def test_branches_of_images_are_names_that_git_takes_and_no_two_are_one() -> None:
    names = {parcel_name(name) for name in ("a/b:1", "a-b:1", "a/b.1:..lock", "x" * 300 + ":1", "y" * 300 + ":1")}
    assert len(names) == 5
    assert all(len(name) < 80 and name.replace("-", "").isalnum() for name in names)


def test_another_digest_is_another_set() -> None:
    assert set_key([Move(WEB, A, B)]) != set_key([Move(WEB, A, C)]) and set_key([Move(WEB, C, B)]) == set_key(
        [Move(WEB, A, B)]
    )
