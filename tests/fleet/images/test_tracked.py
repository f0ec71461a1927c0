"""Images by tag: what a compose file may say, what it means, and which boxes are made again when that moves."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.images.tracked import Tracked, tracked
from gitops.model import Existing, Fleet, Revision
from gitops.plan import box_keys, plan
from tests.simulators.tree import DictTree

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
FIXED = f"x@{A}"
SERVICES = "".join(f"  - {{name: {name}, image: {FIXED}}}\n" for name in ("docker", "compose"))
FILES = {
    "fleet.yaml": "{}\n",
    "boot/a.yml": f"kernel: {{image: {FIXED}}}\ninit: [{FIXED}]\nservices:\n{SERVICES}",
    "boot/compose/web/docker-compose.yml": "services:\n  web: {image: web.example/nginx:1.27, restart: always}\n",
    "boot/compose/db/docker-compose.yml": f'services:\n  db: {{image: "redis@{A}", track: "7"}}\n',
    "roles/web.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/web}]\n",
    "roles/db.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/db}]\n",
    "boxes/w.yaml": "role: web\n",
    "boxes/d.yaml": "role: db\n",
    "images.lock": f"web.example/nginx:1.27 {A}\n",
}
NEXT = Revision("main", "aa" * 20, 2, 1)


def fleet(**changed: str) -> Fleet:
    names = {
        "lock": "images.lock",
        "web": "boot/compose/web/docker-compose.yml",
        "db": "boot/compose/db/docker-compose.yml",
    }
    return load_fleet(DictTree(FILES).with_files({names[name]: text for name, text in changed.items()}))


def image(made: Fleet, box: str) -> str:
    (app,) = made.boxes[box].apps
    (name,) = app.images.values()
    return name


def test_a_tag_means_what_the_lock_says_and_tracking_begins_with_the_digest_beside_it() -> None:
    made = fleet()
    assert image(made, "w") == f"web.example/nginx:1.27@{A}" and image(made, "d") == f"redis:7@{A}"
    assert made.boxes["d"].apps[0].compose["services"]["db"] == {"image": f"redis@{A}"}, "compose knows no `track`"
    moved = fleet(lock=f"web.example/nginx:1.27 {A}\nredis:7@{A} {B}\n")
    assert image(moved, "d") == f"redis:7@{B}"
    by_hand = fleet(
        lock=f"redis:7@{A} {B}\nweb.example/nginx:1.27 {A}\n",
        db=FILES["boot/compose/db/docker-compose.yml"].replace(A, C),
    )
    assert image(by_hand, "d") == f"redis:7@{C}", "a person's digest counts at once"


@pytest.mark.parametrize(
    ("lock", "box"), [("web.example/nginx:1.27 {B}\n", "w"), ("web.example/nginx:1.27 {A}\nredis:7@{A} {B}\n", "d")]
)
def test_a_moved_tag_makes_the_boxes_again_that_run_it_and_no_others(lock: str, box: str) -> None:
    before, after = fleet(), fleet(lock=lock.format(A=A, B=B))
    existing = Existing(frozenset(), box_keys(before), {})
    assert [step.subject for step in plan(after, NEXT, existing).boxes] == [box]


LINE = "services:\n  db: {image: %s, track: %s}\n"
NOT_BESIDE = "`track` stands beside a digest; write `image: NAME@sha256:DIGEST`"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lock": ""}, ":2:16: `web.example/nginx:1.27` does not say which image it is; a tag may move: `toweros lock"),
        ({"lock": "web.example/nginx:1.27 latest\n"}, "images.lock:1:1: not a line of a lock"),
        ({"db": LINE % (f"redis@{A}", 7)}, "db/docker-compose.yml:2:101: `track` is no tag of an image; write a tag"),
        ({"db": LINE % ('"redis:7"', '"7"')}, NOT_BESIDE),
        ({"db": LINE % ('"@pkg:../x"', '"7"')}, NOT_BESIDE),
        ({"db": LINE % (f'"redis:6@{A}"', '"7"')}, "the image's tag is `6`, and `7` is tracked; write one tag"),
    ],
)
def test_mistakes_are_named_with_their_place_and_the_fix(changed: dict[str, str], said: str) -> None:
    with pytest.raises(FleetError) as caught:
        fleet(**changed)
    problems = [str(problem) for problem in caught.value.problems]
    assert any(said in problem for problem in problems), problems


def test_all_compose_files_are_looked_through_and_broken_ones_passed_over() -> None:
    tree = DictTree(FILES).with_files(
        {
            "boot/compose/bad/docker-compose.yml": "services: [",
            "boot/compose/odd/docker-compose.yml": f"services: {{a: [x], b: {{image: 7}}, c: {{image: 'x:1@{A}'}}}}\n",
        }
    )
    assert tracked(tree) == (Tracked("redis", "7", A), Tracked("web.example/nginx", "1.27"))
