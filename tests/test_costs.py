"""What is asked of the whole fleet is asked at once: no number of queries grows with the number of boxes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, event

from gitops.controller import Controller
from gitops.fleet import load_fleet
from gitops.model import Health, Phase, Report
from gitops.server import create_app
from gitops.sign import Signer
from gitops.source import FolderTree
from gitops.store import Store
from gitops.store.collect import collect
from gitops.workflows.reviews.rounds import deployment
from tests.kit.site import Site

FEW, MANY = 3, 300
LATER = 1e12


@pytest.fixture(autouse=True)
def nothing_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three hundred boxes are made here, one write after the other."""

    def hasten(connection: object, _record: object) -> None:
        if "sqlite" in type(connection).__module__:
            connection.cursor().execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(Signer, "sign_boot", lambda _, image: image)
    event.listen(Engine, "connect", hasten)
    yield
    event.remove(Engine, "connect", hasten)


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    yield statements
    event.remove(Engine, "before_cursor_execute", count)


def everybody_reports(store: Store) -> None:
    for state in store.states.all():
        store.boxes.enroll(state.name, "ab" * 32)
        runs = state.published.sequence, state.published.release, state.published.content
        store.boxes.save_report(Report(state.name, "boot", runs[0], 0, "1", *runs, Phase.IDLE, Health.HEALTHY))


def asked(site: Site, controller: Controller, store: Store) -> dict[str, int]:
    """What -> how many queries that takes, while all boxes but one wait for their canary."""
    fleet, done = load_fleet(FolderTree(site.remote.work)), controller.run_once()
    assert done.published == () and len(done.held) == len(fleet.boxes) - 1
    with TestClient(create_app(store, site.settings)) as web:
        works: dict[str, Callable[[], object]] = {
            "a pass": controller.run_once,
            "what exists": store.existing,
            "collecting": lambda: collect(store, fleet.packages.values(), now=LATER, grace=0),
            "the forge": lambda: deployment(store, fleet, done.revision),
            **{f"GET {path}": lambda path=path: web.get(path) for path in ("/", "/metrics", "/api/v1/boxes")},  # type: ignore[misc]
        }
        works["collecting"]()  # images of earlier commits go, each by itself
        numbers = {}
        for what, work in works.items():
            with counted() as statements:
                work()
            numbers[what] = len(statements)
    return numbers


def test_queries_do_not_grow_with_the_fleet(site: Site) -> None:
    controller, store, _ = site.start()
    numbers = []
    for more, text in ((0, "hello 2\n"), (MANY - FEW, "hello 3\n")):
        if more:
            site.commit({f"boxes/box-{number:03}.yaml": "role: vm\n" for number in range(more)})
        while controller.run_once().held:
            everybody_reports(store)
        everybody_reports(store)
        site.commit({"pkg/hello/file": text})
        assert controller.run_once().published == ("a",)
        numbers.append(asked(site, controller, store))
    assert numbers[0] == numbers[1] and min(numbers[0].values()) > 0
