"""What waits for what went out before it."""

import pytest

from gitops.model.updates.patching import Proposal
from gitops.workflows.updates.ways.stack import TRIAL, blocked

NOW = 1_000_000_000
IMAGES, HELLO = "images.lock", "pkg/hello/packages.lock"
MAIN, PULL = "refs/heads/main", "refs/heads/toweros/security/image-a"


@pytest.mark.parametrize(
    ("ref", "path", "since", "wants", "waits"),
    [
        (MAIN, IMAGES, NOW - 1, IMAGES, True),
        (MAIN, IMAGES, NOW - TRIAL, IMAGES, False),
        (MAIN, IMAGES, NOW + 1, IMAGES, False),
        (MAIN, HELLO, NOW - 1, IMAGES, False),
        (MAIN, IMAGES, NOW - 1, HELLO, False),
        (MAIN, HELLO, NOW - 1, HELLO, False),
        (PULL, IMAGES, NOW - 1, IMAGES, False),
    ],
    ids=[
        "waits",
        "silent boxes",
        "a clock that was ahead",
        "packages out",
        "packages next",
        "packages",
        "pull request",
    ],
)
def test_an_image_waits_until_boxes_keep_the_one_before(
    ref: str, path: str, since: int, wants: str, waits: bool
) -> None:
    out = {"a": Proposal(ref, locks={path: "0" * 64}, since=since)}
    assert blocked([wants], out, NOW) == (["a"] if waits else [])
