"""One box's trouble is that box's: in each stage of a pass its part fails, and every other box has its release.

The box is named in `toweros status`, keeps what it has, and has its release once the cause is gone. Where the machine
can make the fault it is a real one: damaged records, files that are gone, a folder where a file should be.
"""

import errno
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from gitops.builders.bases.fetch import MissingBaseError
from gitops.controller import Controller
from gitops.errors import AssembleError, BuildError, SignError, SourceError
from gitops.model import Health, HoldReason, Image
from gitops.rollout.status import box_status
from gitops.sign import Signer
from gitops.store import LeaseError, Store, tables
from gitops.store.notes.box_keys import BoxDisk, HostCertificate
from gitops.workflows.making.patience import Patience
from gitops.workflows.offer import Offer
from gitops.workflows.provenance.witness import Witness
from gitops.workflows.workshop import Workshop
from tests.kit.site import CHANGE, DOCKERFILE, HELLO, OWN, PlayedBuilder, Site

Fault = Callable[[Site, Store, PlayedBuilder, pytest.MonkeyPatch], object]
FULL = OSError(errno.ENOSPC, "No space left on device", "/state/x")
ODD = KeyError("no such member")


@contextmanager
def broken(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, site: Site, running: tuple[Store, PlayedBuilder]
) -> Iterator[None]:
    """The fault, until the cause is gone."""
    with monkeypatch.context() as patch:
        undo = fault(site, *running, patch)
        yield
    if callable(undo):
        undo()


def building(error: Exception) -> Fault:
    """A package that only this box has does not build."""

    def do(_site: Site, _store: Store, builder: PlayedBuilder, patch: pytest.MonkeyPatch) -> None:
        real = builder.build

        def build(package, tree, packages) -> Image:  # type: ignore[no-untyped-def]
            if package.path == "pkg/own":
                raise error
            return real(package, tree, packages)

        patch.setattr(builder, "build", build)

    return do


def at(where: tuple[type, str], error: Exception) -> Fault:
    """What a stage does for this box raises."""

    def do(_site: Site, _store: Store, _builder: PlayedBuilder, patch: pytest.MonkeyPatch) -> None:
        box, real = [""], Workshop.assemble
        inner = getattr(*where)

        def assemble(self, name):  # type: ignore[no-untyped-def]
            box[0] = name
            if where == (Workshop, "assemble") and name == "b":
                raise error
            return real(self, name)

        def one(*arguments, **named):  # type: ignore[no-untyped-def]
            if box[0] == "b":
                raise error
            return inner(*arguments, **named)

        patch.setattr(Workshop, "assemble", assemble)
        if where != (Workshop, "assemble"):
            patch.setattr(*where, one)

    return do


def an_image_that_is_gone(_site: Site, store: Store, builder: PlayedBuilder, patch: pytest.MonkeyPatch) -> None:
    """Its blob goes as soon as it is built."""
    real = builder.build

    def build(package, tree, packages) -> Image:  # type: ignore[no-untyped-def]
        image: Image = real(package, tree, packages)
        if package.path == "pkg/own":
            store.blobs.path(image.layers[0]).unlink()
            builder.store.builds.layer = lambda *_: None  # type: ignore[method-assign]
        return image

    patch.setattr(builder, "build", build)


def a_folder_for_a_copy(_site: Site, store: Store, builder: PlayedBuilder, patch: pytest.MonkeyPatch) -> object:
    """Where the compressed copy of its layer belongs, something else is."""
    made, keys, real, own = list[Path](), set[bytes](), builder.build, PlayedBuilder.layer_of

    def build(package, tree, packages) -> Image:  # type: ignore[no-untyped-def]
        keys.update([package.key.encode()] if package.path == "pkg/own" else [])
        image: Image = real(package, tree, packages)
        return image

    def layer_of(self, diff_id):  # type: ignore[no-untyped-def]
        result = own(self, diff_id)
        if self.store.blobs.read(diff_id) in keys:
            made.append(store.layers.zst(result.root))
            made[-1].mkdir(exist_ok=True)
        return result

    patch.setattr(builder, "build", build)
    patch.setattr(PlayedBuilder, "layer_of", layer_of)
    return lambda: [path.rmdir() for path in dict.fromkeys(made)]


def a_damaged_note(kind: type, name: str) -> Fault:
    def do(_site: Site, store: Store, _builder: PlayedBuilder, _patch: pytest.MonkeyPatch) -> object:
        def write(text: str) -> None:
            with store._database.write() as connection:
                row = {"name": name + "b", "document": text}
                connection.execute(tables.notes.delete().where(tables.notes.c.name == name + "b"))
                connection.execute(tables.notes.insert().values(row))

        write("{")

        def undo() -> None:
            with store._database.write() as connection:
                connection.execute(tables.notes.delete().where(tables.notes.c.name == name + "b"))

        return undo

    return do


def a_damaged_report(_site: Site, store: Store, _builder: PlayedBuilder, _patch: pytest.MonkeyPatch) -> object:
    where = tables.reports.c.box == "b"
    with store._database.read() as connection:
        good = connection.execute(tables.reports.select().where(where)).one().document

    def write(text: str) -> None:
        with store._database.write() as connection:
            connection.execute(update(tables.reports).where(where).values(document=text))

    write('{"box": "b"}')
    return lambda: write(good)


FAULTS: dict[str, Fault] = {
    "build: the package is wrong": building(BuildError("pkg/own: no")),
    "build: its inputs cannot be fetched": building(MissingBaseError("pkg/own: its base is nowhere")),
    "build: the disk is full": building(FULL),
    "build: a fault of ours": building(ODD),
    "assemble: the image is wrong": at((Workshop, "assemble"), AssembleError("its image has no /init")),
    "assemble: a blob is gone": an_image_that_is_gone,
    "assemble: the disk is full": at((Workshop, "assemble"), FULL),
    "assemble: a fault of ours": at((Workshop, "assemble"), ODD),
    "sign: the key refuses": at((Signer, "sign_boot"), SignError("sbsign: no")),
    "sign: the disk is full": at((Signer, "sign_boot"), FULL),
    "sign: a fault of ours": at((Signer, "sign_boot"), ODD),
    "claim: the disk is full": at((Witness, "attest"), FULL),
    "claim: a fault of ours": at((Witness, "attest"), ODD),
    "publish: a file cannot be written": a_folder_for_a_copy,
    "publish: its report is damaged": a_damaged_report,
    "publish: what is known of its disk is damaged": a_damaged_note(BoxDisk, "disk/"),
}


def started(site: Site) -> dict[str, str]:
    site.commit(OWN)
    site.run()
    for box in site.offers():
        site.report(box)
    return site.offers()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_others_have_theirs_in_the_same_pass_and_it_heals(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    before = started(site)
    site.commit(CHANGE)
    controller, store, builder = site.start()
    with store.lease.held():
        with broken(monkeypatch, FAULTS[fault], site, (store, builder)):
            done = controller.run_once()
            assert set(done.published) == {"a", "c"}, done.held
            assert site.offers()["b"] == before["b"]
            assert done.held["b"].reason is HoldReason.CANNOT_BE_OFFERED and done.held["b"].detail
            row = box_status(store, "b", 0)
            assert row and done.held["b"].detail in row.held, "`toweros status` names it"
            assert controller.run_once().held.keys() == {"b"}, "and so it stays"
        builder.store.builds.__dict__.pop("layer", None)
        done = healed(controller, before["b"], site)
    assert site.offers()["b"] != before["b"] and done == {}


def healed(controller: Controller, before: str, site: Site) -> dict[str, object]:
    """The passes after the cause is gone: one makes what was lost, the next has waited for it at most."""
    controller._carrying.patience = Patience()  # as the time that it waits has passed
    for _ in range(2):
        done = controller.run_once()
        if site.offers()["b"] != before:
            return dict(done.held)
    return {"b": "still"}


def test_a_damaged_candidate_is_made_again(site: Site) -> None:
    before = started(site)
    site.commit({"fleet.yaml": "source: {branch: main}\nsuspended: later\n", **CHANGE})
    site.run()
    store = site.store
    with store._database.write() as connection:
        connection.execute(update(tables.candidates).where(tables.candidates.c.box == "b").values(document="{"))
    site.commit({"fleet.yaml": OWN["fleet.yaml"]})
    done = site.run()
    assert set(done.published) == {"a", "c"} and "what waits for it is damaged" in done.held["b"].detail
    done = site.run()
    assert done.published == ("b",) and site.offers()["b"] != before["b"]


def test_a_damaged_record_of_a_host_key_costs_nobody_a_release(site: Site) -> None:
    """The box names its key again with its next report."""
    started(site)
    a_damaged_note(HostCertificate, "ssh/")(site, site.store, PlayedBuilder(site.store), pytest.MonkeyPatch())
    site.commit(CHANGE)
    assert set(site.run().published) == {"a", "b", "c"}


def test_who_stands_on_what_does_not_build_waits_with_it(site: Site) -> None:
    """`pkg/own` stands on a package that fails: the box is told which."""
    site.commit({**OWN, "pkg/below/build.yml": "image: below\n", "pkg/below/Dockerfile": DOCKERFILE})
    site.commit(
        {
            "pkg/below/file": "x\n",
            "pkg/own/build.yml": "image: own\nbuildArgs:\n  - BELOW=@lkt:pkg:../below\n",
            "pkg/own/Dockerfile": "ARG BELOW\nFROM ${BELOW}\nCOPY file /file\n",
        }
    )
    controller, _, builder = site.start()
    builder.fail = "pkg/below"
    done = controller.run_once()
    assert set(done.published) == {"a", "c"} and "pkg/below: no" in done.held["b"].detail
    assert "pkg/own" not in builder.built


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_a_box_without_its_release_proves_nothing_for_the_others(site: Site, failing: str) -> None:
    """It runs what it had before, and well: that is no canary of what is new."""
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 1}\n"})
    site.run()
    for box in site.offers():
        site.report(box)
    site.unmade |= {failing}
    site.commit(HELLO)
    first = site.run()
    assert len(first.published) == 1, "one canary, and not all the others at once"
    site.report(first.published[0], Health.HEALTHY)
    assert {*first.published, *site.run().published} == {"a", "b", "c"} - {failing}


def raised(error: BaseException) -> None:
    raise error


def test_a_kill_before_the_offer_lets_nobody_go_without_a_canary(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`a` has no release of what is deployed, and Git is away when the next process begins: `a` proves nothing."""
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 1}\n"})
    site.run()
    for box in site.offers():
        site.report(box)
    before = site.offers()
    site.unmade |= {"a"}
    site.commit(HELLO)
    with monkeypatch.context() as patch:
        patch.setattr(Offer, "_publish", lambda *_: raised(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            site.run()
    site.remote.bare.rename(site.folder / "away.git")
    with pytest.raises(SourceError):
        site.run()
    offers = site.offers()
    assert len([box for box, release in offers.items() if release != before[box]]) <= 1, "one canary at most"


def test_what_does_not_build_is_tried_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("gitops.workflows.making.patience.time.monotonic", lambda: now[0])
    patience, error = Patience(), BuildError("pkg/own: no")
    assert patience.held("k") is None
    tried = []
    for _ in range(20000):
        if patience.held("k") is None:
            tried.append(now[0])
            patience.failed("k", error, 30.0)
        now[0] += 30.0
    waits = [later - before for before, later in itertools.pairwise(tried)]
    assert waits[:6] == [30, 60, 120, 240, 480, 600] and set(waits[6:]) == {600}
    assert patience.held("k") in (error, None) and patience.held("other") is None


def test_who_lost_the_lease_does_nothing_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    started(site)
    site.commit(CHANGE)
    controller, store, builder = site.start()
    at((Workshop, "assemble"), LeaseError("another controller"))(site, store, builder, monkeypatch)
    with pytest.raises(LeaseError):
        controller.run_once()


@pytest.mark.parametrize(
    "point", ["before the first", "after the first", "after the last", "before they are set aside"]
)
def test_a_kill_while_boxes_are_made_anew_leaves_nobody_without_a_canary(
    site: Site, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """A newer controller makes other releases of the same commit, and not that of `a`; then it is killed, and Git is
    away: what `a` runs proves nothing of what is new."""
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 1}\n"})
    for _ in range(2):
        site.run()
        for box in site.offers():
            site.report(box)
    site.commit({"README.md": "of no box\n"})  # else the releases of this commit would be out already
    site.run()
    before = site.offers()
    with site.store._database.write() as connection:
        connection.execute(update(tables.publications).values(box_key=""))
    real, added = PlayedBuilder.assemble, list[str]()

    def newer(self, box, images, revision, named=None):  # type: ignore[no-untyped-def]
        made = real(self, box, images, revision, named)
        more = self.layer(b"newer")
        content = replace(made.release.content, root=(*made.release.content.root, more))
        return replace(made, release=replace(made.release, content=content))

    add = Offer.add

    def killed(self, plan, made, witness) -> None:  # type: ignore[no-untyped-def]
        if point == "before the first":
            raise KeyboardInterrupt
        add(self, plan, made, witness)
        added.append(made.release.box)
        if (point, len(added)) in (("after the first", 1), ("after the last", 2)):
            raise KeyboardInterrupt

    site.unmade |= {"a"}
    monkeypatch.setattr(PlayedBuilder, "assemble", newer)
    with monkeypatch.context() as patch:
        patch.setattr(Offer, "add", killed)
        patch.setattr(Offer, "set_aside", lambda *_: raised(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            site.run()
    away = site.folder / "away.git"
    site.remote.bare.rename(away)
    with pytest.raises(SourceError):
        site.run()
    moved = [box for box, release in site.offers().items() if release != before[box]]
    assert len(moved) <= 1 and "a" not in moved, "one canary at most"
    away.rename(site.remote.bare)
    site.unmade.clear()
    for _ in range(4):  # and none is left out once the cause is gone
        site.run()
        for box in site.offers():
            site.report(box)
    stayed = [box for box, release in site.offers().items() if release == before[box]]
    assert not stayed, (site.store.holds.all(), stayed)
