"""A run of updates that dies at any step leaves nothing half done and is made up; and who may sign it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.sign.commits import CommitKey
from gitops.source.clone.pushing import PushClone
from gitops.store import LeaseError, Store
from gitops.store.lease import Holder
from tests.kit.edges import seen
from tests.kit.people import People
from tests.kit.updates import LOCK, Patched

NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"


def watched(store: Store, monkeypatch: pytest.MonkeyPatch, step: Callable[[], None]) -> None:
    """`step` before each write of the store and each push, and after it."""

    def wrap(act):  # type: ignore[no-untyped-def]
        def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
            step()
            done = act(*arguments, **named)
            step()
            return done

        return wrapped

    store.notes.change = wrap(store.notes.change)  # type: ignore[method-assign]
    store.blobs.put_file = wrap(store.blobs.put_file)  # type: ignore[method-assign]
    monkeypatch.setattr(PushClone, "_send", wrap(PushClone._send))


@pytest.mark.parametrize("how", ["commit", "pull-request"])
def test_a_run_that_dies_at_any_step_is_made_up_by_the_next(
    patched: Patched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """One run, and a copy of all that outlives it at each step: what a power cut would leave. Each is gone on from."""
    patched.says(f"{{how: {how}}}")
    patched.update()
    patched.later()
    site, ref = patched.site, "main" if how == "commit" else "toweros/security/openssl"
    base, places, copies = patched.refs["main"], (site.settings.state, site.remote.bare), list[list[Path]]()
    last = list[object]()

    def cut() -> None:
        """Unless nothing changed that anybody reads since the last one."""
        if (now := [*seen(site.settings.state), patched.refs]) == last:
            return
        last[:] = now
        copies.append([shutil.copytree(place, tmp_path / f"{len(copies)}-{place.name}") for place in places])

    monkeypatch.setattr("gitops.store.lease.RENEW", 999.0)  # no write while a copy is taken
    controller, store, builder = site.start()
    with monkeypatch.context() as patch, store.lease.held():
        done = controller.run_once()
        watched(store, patch, cut)
        patched.updates(builder).run_due(controller._load(done.revision), done.revision)
    store.close()
    monkeypatch.setattr(Holder, "gone", lambda _: True)  # whoever held the lease has died: it was this process
    for copy in copies:
        for place, there in zip(places, copy, strict=True):
            shutil.rmtree(place)
            there.rename(place)
        assert patched.refs.get(ref, base) == base or patched.show(ref) == NEW, "all of it or nothing"
        patched.look()
        assert (patched.show(ref), patched.show(ref, "%P"), patched.changes(ref)) == (NEW, base, [LOCK])
        assert patched.run().started <= patched.run().finished and not patched.run().error
    assert len(copies) > 6


def test_a_controller_that_lost_its_lease_changes_nothing(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    before = patched.refs["main"]
    controller, store, builder = patched.site.start()
    with store.lease.held():
        done = controller.run_once()
        other = patched.site.store
        with other.lease.write() as connection:  # another one took over
            connection.exec_driver_sql("UPDATE leases SET token = token + 1")
        with pytest.raises(LeaseError):
            patched.updates(builder).run_due(controller._load(done.revision), done.revision)
    assert patched.refs["main"] == before


def test_the_controller_s_own_commits_deploy_under_a_policy_that_allows_it_locks_alone(
    patched: Patched, people: People
) -> None:
    site, git = patched.site, patched.site.remote.git
    patched.look()
    key = CommitKey.open(site.settings.keys)
    git("config", "user.signingkey", str(people.key("ada")))
    limit = 'limits: [{paths: ["pkg/*/packages.lock"], signers: [toweros-security]}]'
    fleet = f"source: {{branch: main, sign: every-commit, {limit}}}\nsecurity: {{how: commit}}\n"
    site.commit({"keys/allowed_signers": f"{people.allowed('ada')}{key.allowed}\n", "fleet.yaml": fleet}, "-S")
    patched.look()
    patched.update()
    patched.later()
    patched.look()
    done = site.run()
    assert (done.revision.subject, done.revision.signers) == (NEW, ("toweros-security",))
    # Whoever steals that key has locks, and nothing else.
    git("pull", "-q", "origin", "main")
    git("config", "user.signingkey", str(site.settings.keys / "security"))
    site.commit({"fleet.yaml": "source: {branch: main}\n"}, "-S")
    with pytest.raises(SourceError, match="toweros-security may sign for") as caught:
        site.run()
    assert caught.value.reason == "BeyondLimit"
