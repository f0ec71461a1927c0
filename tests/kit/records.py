"""The record of deployments of a `Site`, here and at its remote; who else writes there; what was told of it."""

from dataclasses import replace

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.sign.keys import guid
from gitops.sign.record.key import RecordKey
from gitops.source.record.entry import Entry, following, made, read_entry
from gitops.source.record.memory import RecordMemory
from gitops.store.notes.documents import Status
from tests.kit.site import HELLO, Site


def ref(site: Site) -> str:
    return f"refs/toweros/deployed/{guid(site.settings.keys)}"


def at_remote(site: Site) -> list[Entry]:
    """What the remote has, oldest first, as Git walks it."""
    repository = pygit2.Repository(str(site.remote.bare))
    if ref(site) not in repository.references:
        return []
    return [read_entry(each.read_raw()) for each in repository.walk(repository.references[ref(site)].target)][::-1]


def ours(site: Site) -> tuple[Entry, ...]:
    return RecordMemory(site.store.notes).entries()


def revisions(entries: list[Entry] | tuple[Entry, ...]) -> list[str]:
    return [entry.statement.revision for entry in entries]


def move(site: Site, target: str) -> None:
    """Somebody who may push moves the record's ref."""
    site.remote.git("update-ref", *(("-d", ref(site)) if not target else (ref(site), target)), cwd=site.remote.bare)


def alarms(site: Site) -> list[str]:
    status = site.store.notes.get(Status)
    assert status
    return [alarm.reason for alarm in status.alarms]


def told(site: Site) -> list[str]:
    return [event.message for event in site.store.events.latest(limit=100) if event.reason == "Record"][::-1]


def put(site: Site, entry: Entry) -> str:
    """An entry's commit, in the remote."""
    repository = pygit2.Repository(str(site.remote.bare))
    return str(repository.odb.write(int(pygit2.enums.ObjectType.COMMIT), entry.raw))


def forged(site: Site, before: Entry | None, key: RecordKey | None = None, **change: object) -> Entry:
    statement = replace(ours(site)[-1].statement, **{**following(before), **change})
    signer = key or RecordKey.open(site.settings.keys)
    return made(statement, before.id if before else "", signer.sign)


def deployed_twice(site: Site) -> list[str]:
    first = site.run().revision.commit
    site.commit(HELLO)
    return [first, site.run().revision.commit]


def refused(site: Site) -> SourceError:
    with pytest.raises(SourceError) as refusal:
        site.run()
    return refusal.value
