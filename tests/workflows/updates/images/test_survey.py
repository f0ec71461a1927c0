"""Tags of images that move: proposed as commits of images.lock alone, held, taken back, refused; against Debian's
docker-registry and Git itself."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from gitops.errors import RegistryError, SourceError
from gitops.fleet.images.tracked import Tracked
from gitops.model import PathRule, sha256
from gitops.model.updates.patching import Failed, Grouping, HeldSet, Move, Patching
from gitops.oci.registry import Registry
from gitops.oci.trust import Trust
from gitops.security.schedule.choice import Facts, set_key
from gitops.settings import Settings
from gitops.source.trust.rules import check_limits
from gitops.store.notes.documents import AppImageBlobs
from gitops.workflows.images.ask import Answer, Registries
from gitops.workflows.updates.images.survey import TagSurvey, Watch
from tests.kit.registry import Pushed
from tests.kit.updates import Patched
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree


class Tagged:
    """A fleet of which box `c` runs an app with an image by tag."""

    def __init__(self, patched: Patched, registry: DockerRegistry) -> None:
        self.patched, self.registry, self.there = patched, registry, Pushed(registry.address)
        self.image = f"{registry.address}/web/nginx"
        self.reference = f"{self.image}:1"
        self.one = self.there.push("web/nginx", "1", b"one")

    def says(self, security: str, image: str = "", lock: str | None = "", **files: str) -> None:
        service = image or f'"{self.reference}"'
        written = f"{self.reference} {self.one}\n" if lock == "" else lock
        base = 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\nservices:\n'
        names = "".join(f'  - {{name: {name}, image: "@pkg:../pkg/hello"}}\n' for name in ("docker", "compose"))
        self.patched.says(
            security,
            **{
                "boot/web.yml": base + names,
                "boot/compose/web/docker-compose.yml": f"services:\n  web: {{image: {service}}}\n",
                "roles/web.yaml": "boot: [boot/web.yml]\ncompose: [{app: boot/compose/web}]\n",
                "boxes/c.yaml": "role: web\n",
                **({"images.lock": written} if written else {}),
                **files,
            },
        )

    def push(self, layer: bytes) -> str:
        return self.there.push("web/nginx", "1", layer)

    def run(self) -> None:
        self.patched.later()
        self.patched.look()

    def everybody(self) -> None:
        """All that is offered reaches every box."""
        for _ in range(2):
            self.patched.look()
            for box in self.patched.site.offers():
                self.patched.site.report(box)
        self.patched.look()

    def lock(self, ref: str = "main") -> str:
        remote = self.patched.site.remote
        return remote.git("show", f"{ref}:images.lock", cwd=remote.bare)

    @property
    def branch(self) -> str:
        (name,) = (name for name in self.patched.refs if name.startswith("toweros/security/image-"))
        return name


@pytest.fixture
def tagged(patched: Patched, tmp_path: Path) -> Iterator[Tagged]:
    with DockerRegistry(tmp_path / "registry") as registry:
        yield Tagged(patched, registry)


def test_a_moved_tag_is_a_commit_of_its_lock_is_held_when_a_box_goes_back_and_goes_on_with_the_next(
    tagged: Tagged,
) -> None:
    patched = tagged.patched
    tagged.says("{how: commit}", image=f'"{tagged.image}@{tagged.one}", track: "1"', lock=None)
    tagged.everybody()
    base = patched.refs["main"]
    tagged.run()
    assert patched.refs["main"] == base and patched.run().outcome == "0 of 0 updates offered"
    two = tagged.push(b"two")
    tagged.run()
    assert patched.show("main") == f"images: {tagged.image} 1 {tagged.one[:19]} -> {two[:19]}"
    assert patched.changes("main") == ["images.lock"] and patched.show("main", "%P") == base
    assert f"{tagged.reference}@{tagged.one} {two}" in tagged.lock()
    assert f"to {two}" in patched.show("main", "%b") and "nobody's signature is asked for" in patched.show("main", "%b")
    assert patched.site.store.notes.get(AppImageBlobs, two.removeprefix("sha256:")), "fetched before it is offered"
    before = patched.site.offers()
    patched.look()
    assert [box for box, offer in patched.site.offers().items() if before[box] != offer] == ["c"], "its boxes alone"
    patched.site.report("c", failed=True)
    patched.look()
    (held,) = patched.patches.held.values()
    assert [move.new for move in held.moves] == [two] and held.failed == "boxes"
    assert patched.show("main").startswith("locks: take back") and two not in tagged.lock()
    tagged.everybody()
    taken = patched.refs["main"]
    tagged.run()
    assert patched.refs["main"] == taken, "what is held is not offered again"
    three = tagged.push(b"three")
    tagged.run()
    assert three in tagged.lock()
    tagged.everybody()
    good = patched.refs["main"]
    for old in (two, tagged.one):  # held, and older
        tagged.there.move("web/nginx", "1", old)
        tagged.run()
        assert patched.refs["main"] == good and patched.run().outcome == "0 of 1 updates offered, 1 left"


def test_a_moved_base_image_is_a_commit_that_rebuilds_what_stands_on_it_and_is_held_as_any_other(
    tagged: Tagged,
) -> None:
    patched = tagged.patched
    spec = 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\nservices:\n'
    names = {"docker": "hello", "compose": "hello", "based": "based"}
    services = "".join(f'  - {{name: {name}, image: "@pkg:../pkg/{one}"}}\n' for name, one in names.items())
    tagged.says(
        "{how: commit}",
        image='"@pkg:../../../pkg/hello"',
        **{
            "pkg/based/build.yml": "image: based\n",
            "pkg/based/Dockerfile": f"FROM {tagged.reference}\n",
            "boot/web.yml": spec + services,
        },
    )
    tagged.everybody()
    patched.built.clear()
    base = patched.refs["main"]
    two = tagged.push(b"two")
    tagged.run()
    assert patched.show("main") == f"images: {tagged.image} 1 {tagged.one[:19]} -> {two[:19]}"
    assert patched.changes("main") == ["images.lock"] and patched.show("main", "%P") == base
    assert patched.built == ["pkg/based"], "tried before it is offered, and nothing else"
    before = patched.site.offers()
    patched.look()
    assert [box for box, offer in patched.site.offers().items() if before[box] != offer] == ["c"]
    tagged.everybody()
    patched.fail = "pkg/based"
    three, good = tagged.push(b"three"), patched.refs["main"]
    tagged.run()
    (held,) = patched.patches.held.values()
    assert [move.new for move in held.moves] == [three] and held.failed == "build" and patched.refs["main"] == good


def test_a_registry_that_is_away_takes_nothing_back_and_packages_go_on(tagged: Tagged) -> None:
    patched = tagged.patched
    tagged.says("{how: pull-request}")
    two = tagged.push(b"two")
    tagged.run()
    ours = tagged.branch
    assert tagged.lock(ours).endswith(f"{tagged.reference} {two}") and patched.changes(ours) == ["images.lock"]
    tagged.registry.__exit__()
    patched.update()
    tagged.run()
    assert "is unreachable" in patched.run().error and ours in patched.refs
    assert patched.show("toweros/security/openssl") == "locks: openssl 3.5.7-1 -> 3.5.9-1"
    assert any("is unreachable" in event for event in patched.events("Updates"))
    tagged.registry.__enter__()
    three = tagged.push(b"three")
    (data,) = tagged.registry.folder.rglob(f"blobs/sha256/*/{sha256(b'three')}/data")
    data.write_bytes(b"Three")
    tagged.run()
    assert "is not what its digest says" in patched.run().error and three not in tagged.lock(ours)
    tag = tagged.registry.folder / "data/docker/registry/v2/repositories/web/nginx/_manifests/tags/1"
    tag.rename(tag.with_name("other"))
    tagged.run()
    assert "has no such tag any more" in patched.run().error and ours not in patched.refs, "the registry itself said so"


def test_tags_and_packages_go_out_in_one_push_and_nothing_new_is_one_question(
    tagged: Tagged, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched = tagged.patched
    other = tagged.there.push("web/redis", "7", b"redis")
    tagged.says(
        "{how: commit}",
        lock=f"{tagged.reference} {tagged.one}\n{tagged.there.host}/web/redis:7 {other}\n",
        **{"boot/compose/db/docker-compose.yml": f"services: {{db: {{image: '{tagged.there.host}/web/redis:7'}}}}\n"},
    )
    base = patched.refs["main"]
    two, new = tagged.push(b"two"), tagged.there.push("web/redis", "7", b"newer redis")
    patched.update()
    tagged.run()
    assert patched.run().outcome == "3 of 3 updates offered"
    assert sorted(patched.changes("main", base)) == ["images.lock", "pkg/hello/packages.lock"]
    assert two in tagged.lock() and new in tagged.lock(), "each commit stands on the other"
    three = tagged.push(b"three")
    patched.look()
    tagged.run()
    assert "1 waiting" in patched.run().outcome and three not in tagged.lock(), "no box has kept the ones before"
    tagged.everybody()
    tagged.run()
    assert three in tagged.lock()
    tagged.everybody()
    tagged.run()
    asked: list[str] = []
    ask = Registry._ask

    def listening(self: Registry, method: str, path: str, **options: object) -> object:
        asked.append(f"{method} {path}")
        return ask(self, method, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Registry, "_ask", listening)
    tagged.run()
    assert patched.run().outcome == "nothing new"
    assert asked == ["HEAD web/nginx/manifests/1", "HEAD web/redis/manifests/7"]


REFERENCES = ("web.example/nginx:1", "web.example/redis:7")
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NOTHING: Mapping[str, RegistryError] = {}


class Said(Registries):
    """Registries that say this of every tag, and refuse what is named."""

    def __init__(self, found: str, refused: Mapping[str, RegistryError]) -> None:
        super().__init__(Settings(), Trust({}))
        self._found, self._refused = found, refused

    def ask(self, wanted: Iterable[Tracked], pins: Mapping[str, str]) -> tuple[Answer, ...]:
        return tuple(Answer(one.name, one.tag, (one.digest(pins),), self._found) for one in wanted)

    def judge(self, tag: Answer) -> str:
        if tag.reference in self._refused:
            raise self._refused[tag.reference]
        return "ada.pub"


def surveyed(
    refused: Mapping[str, RegistryError] = NOTHING, group: Grouping = Grouping.source, facts: Facts | None = None
) -> TagSurvey:
    services = ", ".join(f"{name}: {{image: '{reference}'}}" for name, reference in zip("ab", REFERENCES, strict=True))
    lock = "".join(f"{reference} {A}\n" for reference in REFERENCES)
    tree = DictTree({"x/docker-compose.yml": f"services: {{{services}}}", "images.lock": lock})
    watch = Watch(Settings(), tree)
    watch.__dict__["registries"] = Said(B, refused)
    return watch.survey(Patching(group=group), facts or Facts(9))


def test_each_tag_is_a_commit_of_its_own_or_all_are_one() -> None:
    alone = surveyed().parcels()
    assert [parcel.message.splitlines()[0] for parcel in alone] == [
        f"images: web.example/{name} {A[:19]} -> {B[:19]}" for name in ("nginx 1", "redis 7")
    ]
    assert "signed by ada.pub" in alone[0].message and len({parcel.name for parcel in alone}) == 2
    assert alone[0].files["images.lock"].decode().count(B) == 1 and alone[0].images == (f"{REFERENCES[0]}@{B}",)
    (both,) = surveyed(group=Grouping.all).parcels()
    assert both.name == "images" and both.message.startswith("images: 2 tags moved")
    assert both.files["images.lock"].decode().count(B) == 2
    stacked = surveyed().parcel(frozenset(REFERENCES[1:]), frozenset(REFERENCES[:1]))
    assert stacked and stacked.files == both.files and stacked.moves == alone[1].moves


def test_what_is_refused_goes_and_what_nobody_can_judge_stays() -> None:
    refused = surveyed({REFERENCES[0]: RegistryError("is not signed")})
    assert [parcel.moves[0].source for parcel in refused.parcels()] == [REFERENCES[1]]
    assert refused.problems == [f"{REFERENCES[0]}: {B[:19]}: is not signed"] and refused.stays == set()
    unknown = surveyed({REFERENCES[0]: RegistryError("away", transient=True)})
    assert len(unknown.parcels()) == 1
    assert unknown.stays == {"images", surveyed().parcels()[0].name}


def test_what_is_held_is_not_offered_and_not_judged_again() -> None:
    move = Move(REFERENCES[0], A, B)
    held = {set_key([move]): HeldSet((move,), Failed.boxes, "boxes went back\nmore", 1)}
    survey = surveyed({REFERENCES[0]: RegistryError("is not signed")}, facts=Facts(9, held=held))
    assert [parcel.moves[0].source for parcel in survey.parcels()] == [REFERENCES[1]]
    assert survey.left == [(move, "held: boxes went back")] and not survey.problems


def test_a_limit_can_name_the_lock_and_takes_in_nothing_else() -> None:
    limit = PathRule(("**/packages.lock", "images.lock"), ("toweros-security",))
    check_limits([limit], ["images.lock", "pkg/a/packages.lock"], ["toweros-security"], "it")
    with pytest.raises(SourceError, match="may sign for"):
        check_limits([limit], ["boot/compose/web/images.lock"], ["toweros-security"], "it")
