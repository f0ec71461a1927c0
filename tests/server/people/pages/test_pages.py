"""Each box, each commit, what happened, advisories and keys: a page each, and JSON that says the same."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gitops.model import Action, EventType, Severity, Sighting, Step
from gitops.model.rollout.course import Course, Sample
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.box_keys import Asking, BootChecked, BoxKeys, HostCertificate
from gitops.store.notes.directory import Traffic
from gitops.store.notes.documents import Exposures, PassResult, RoleExposure
from gitops.store.notes.reported import BoxFacts
from tests.kit.crowds import COMMIT, REVISION, Crowd, fill
from tests.kit.published import kit

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """300 boxes, some of them in trouble, in the middle of a rollout that began ten minutes before these stories."""
    now = int(time.time())
    here = kit(tmp_path_factory.mktemp("pages"))
    store = here.store
    fill(store, Crowd(300), now)
    here.publisher.publish([here.publication("demo-1", 7)])
    course = Course(REVISION, 300, now - 600, 0, (Sample(now - 600, 10, 0, 0, 0), Sample(now - 300, 300, 200, 160, 4)))
    store.notes.put(course, COMMIT)
    store.notes.put(
        Course(f"main@sha1:{'0' * 40}", 300, now - 9000, now - 8000, (Sample(now - 8000, *[300] * 3, 0),)), "0" * 40
    )
    steps = tuple(Step(f"pkg/{EVIL}{number}", Action.BUILD, "its Dockerfile changed") for number in range(150))
    store.notes.put(PassResult(REVISION, steps, (), 3), COMMIT)
    store.notes.put(Traffic({"2026-11-28": 5_000_000, "2026-11-29": 1}))
    for number in range(260):
        type_, reason = (EventType.WARNING, "Degraded") if number % 2 else (EventType.NORMAL, "Healthy")
        store.events.add("box-00096", type_, reason, f"number {number} {EVIL}")
    store.events.add("", EventType.WARNING, "Unsigned", "commit 100%_of it")
    found = (Sighting("role-0", f"CVE-2026-{n}", "zlib", list(Severity)[n % 3], now - n, n % 2) for n in range(60))
    store.sightings.save([*found, Sighting("role-1", f"{EVIL}", "openssl", Severity.low, now)])
    store.notes.put(Exposures(now, {"role-0": RoleExposure(100, {"critical": 20})}, {"high": (2, 2 * 86_400)}))
    store.notes.put(HostCertificate("k", "c", "k", "x", now + 86_400), "box-00001")
    store.notes.put(BoxKeys(asking=(Asking("a" * 64, 1, 2),)), "box-00002")
    return store


@pytest.fixture
def web(store: Store) -> TestClient:
    return TestClient(create_app(store, Settings(state=store.paths.root)))


def both(web: TestClient, path: str, api: str) -> tuple[str, Any]:
    """A page, which names its JSON, and that."""
    page = web.get(path)
    assert page.status_code == 200 and EVIL not in page.text
    assert f'href="{api.replace("&", "&amp;")}"' in page.text
    return page.text, web.get(api).json()


def test_a_box_says_where_it_stands_how_it_was_and_why_it_went_back(web: TestClient) -> None:
    page, row = both(web, "/boxes/box-00112", "/api/v1/boxes/box-00112")
    assert row["site"] == "site-012" and row["role"] == "role-1" and row["labels"] == {"ring": "0"}
    assert "went back: release 2: failed" in page and "Last lines" in page and 'href="/?site=site-012"' in page
    page, row = both(web, "/boxes/box-00096", "/api/v1/boxes/box-00096")
    assert "20 critical" in page and page.count('class="span ') > 10 and "States over time" in page
    assert (
        len(row["events"]) == 50
        and page.count("<li><time") == 50
        and 'rel="next" href="/boxes/box-00096?before=' in page
    )


def test_what_a_box_says_of_itself_is_shown_in_units_and_what_nobody_here_knows_as_it_is(
    store: Store, web: TestClient
) -> None:
    more = {"kernel": "6.1.0-<b>", "memory": {"total": 1, "free": [2, 3]}, "addresses": {"eth0": ["192.0.2.7/24"]}}
    with store._database.write() as connection:
        text = json.loads(
            connection.exec_driver_sql("SELECT document FROM reports WHERE box = 'box-00005'").scalar() or ""
        )
        changed = (json.dumps(text | more), int(time.time()) + 1)
        connection.exec_driver_sql("UPDATE reports SET document = ?, received = ? WHERE box = 'box-00005'", changed)
        said = {
            "memory": {"used": 3 << 20, "size": 6 << 20}, "disks": {"esp": {"used": 1, "size": "<b>"}}, "fan": "<i>",
            "links": {"eth0": {"addresses": ["192.0.2.7/24"], "signal": -61}}, "synchronised": False, "temperature": 47,
        }  # fmt: skip
        changed = (json.dumps(text | {"facts": said, "counter": 93_021_000}), int(time.time()) + 1)
        connection.exec_driver_sql("UPDATE reports SET document = ?, received = ? WHERE box = 'box-00006'", changed)
    store.notes.put(BoxFacts(30, 600, "0.2", "6.9"), "box-00006")
    store.notes.put(BootChecked(True, came=("bundle", "noc")), "box-00006")
    page = web.get("/boxes/box-00006").text
    for name, words in {
        "Agent": ">0.2</a>", "Kernel": ">6.9</a>", "Memory": "3.0 MiB of 6.0 MiB (50 %)", "Temperature": "47 °C",
        "Links": "eth0: 192.0.2.7/24 (-61 dBm)", "Clock": "not synchronised", "Uptime": "1 day, 1 h",
        "It came": "by a bundle, from the site", "disks.esp.size": "&lt;b&gt;", "fan": "&lt;i&gt;",
    }.items():  # fmt: skip
        assert words in page.partition(f"<dt>{name}</dt>")[2].partition("</dd>")[0], name
    for query in ("agent=0.2", "kernel=6."):
        assert [row["box"] for row in web.get(f"/api/v1/boxes?{query}").json()["boxes"]] == ["box-00006"]
    page = web.get("/boxes/box-00005").text
    for words in ("6.1.0-&lt;b&gt;", "memory.free", "2, 3", "addresses.eth0", "192.0.2.7/24"):
        assert words in page


@pytest.mark.parametrize(
    "path", ["/boxes/none", "/boxes/%00", "/boxes/%3Cscript%3E", "/commits/zz", "/commits/0123456"]
)
def test_what_there_is_not_is_a_page_that_says_so(web: TestClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404 and "<script>" not in answer.text
    assert "/commits/" not in path or web.get(f"/api/v1{path}").status_code == 404


def test_a_parameter_that_is_wrong_is_a_page_that_names_it_as_text(web: TestClient) -> None:
    page, document = web.get("/?x=%3Cscript%3E"), web.get("/api/v1/boxes?x=%3Cscript%3E")
    assert page.status_code == document.status_code == 400
    assert (
        "there is no parameter" in page.text
        and "<script>" not in page.text
        and "this page has: q, trouble" in page.text
    )
    assert (
        document.headers["content-type"] == "application/problem+json" and "this page has" in document.json()["detail"]
    )
    sticky = web.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in sticky and 'value="&#34;&gt;&lt;script&gt;' in sticky


def test_a_commit_says_how_far_it_is_who_failed_and_when_it_was_everywhere(web: TestClient) -> None:
    page, row = both(web, f"/commits/{COMMIT}", f"/api/v1/commits/{COMMIT}")
    assert row["state"] == "rolling out" and row["seconds_to"] == {"half": 300, "most": None, "everywhere": None}
    assert set(row["trouble"]) >= {"box-00096", "box-00112"} and "web: connection refused" in page
    assert "<polyline" in page and "160 of 300 boxes run it and are well" in page and "and 50 more" in page
    assert web.get(f"/commits/{COMMIT[:9]}").text.count("<polyline") == page.count("<polyline")
    page, rows = both(web, "/commits", "/api/v1/commits")
    assert [each["state"] for each in rows["commits"]] == ["rolling out", "everywhere"]
    assert "5.0 MB" in page and rows["bytes_by_day"]["2026-11-28"] == 5_000_000 and "53 % of 300" in page


def test_a_few_digits_that_two_commits_have_are_neither(tmp_path: Path) -> None:
    store, other = Store.open(tmp_path), COMMIT[:20] + "0" * 20
    for commit in (COMMIT, other):
        store.notes.put(Course(f"main@sha1:{commit}", 1, 5), commit)
    web = TestClient(create_app(store, Settings(state=tmp_path)))
    assert [web.get(f"/commits/{commit}").status_code for commit in (COMMIT[:20], COMMIT[:21], other)] == [
        404,
        200,
        200,
    ]


def test_activity_goes_back_to_the_first_event(web: TestClient) -> None:
    seen, path = [], "/api/v1/events?box=box-00096"
    while path:
        answer = web.get(path).json()
        seen += [event["message"].split()[1] for event in answer["events"]]
        path = f"/api/v1/events?box=box-00096&before={answer['next']}" if answer["next"] else ""
    assert seen == [str(number) for number in range(259, -1, -1)]
    page, rows = both(web, "/activity?q=100%25_of&type=Warning", "/api/v1/events?q=100%25_of&type=Warning")
    assert [event["reason"] for event in rows["events"]] == ["Unsigned"] and "100%_of it" in page
    assert web.get("/api/v1/events?q=100_").json()["events"] == [], "no wildcard"


def test_advisories_the_worst_first_by_role_and_package(web: TestClient) -> None:
    page, rows = both(web, "/advisories?role=role-0", "/api/v1/security?role=role-0")
    severities = [each["severity"] for each in rows["advisories"]]
    assert severities == sorted(severities, key=lambda word: Severity(word).rank) and rows["total"] == 60
    assert 'href="https://www.cve.org/CVERecord?id=CVE-2026-' in page and "Time to fix" in page and "1.0 d (2)" in page
    assert (
        web.get("/api/v1/security?q=openssl").json()["total"] == 1
        and "advisories" not in web.get("/api/v1/security").json()
    )
    assert "&lt;script&gt;" in web.get("/advisories?q=openssl").text


def test_keys_say_when_they_end_and_nothing_that_is_secret(store: Store, web: TestClient) -> None:
    page, row = both(web, "/keys", "/api/v1/keys")
    assert [each["role"] for each in row["metadata"]] == ["root", "targets", "snapshot", "timestamp"]
    assert {each["state"] for each in row["metadata"]} == {"good"} and all(each["keys"] for each in row["metadata"])
    assert [each["box"] for each in row["boxes"]] == ["box-00002", "box-00001"], "what asks comes first"
    assert row["boxes"][1]["state"] == "ends soon" and "1 ask under its name" in page


@pytest.mark.parametrize("path", ["/", "/sites", "/commits", "/activity", "/advisories", "/keys"])
def test_a_browser_may_run_nothing_but_what_is_ours(web: TestClient, path: str) -> None:
    answer = web.get(path)
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert " style=" not in answer.text and " onclick" not in answer.text and answer.text.count("<script") == 1


def test_a_store_of_before_and_damaged_records_are_pages_all_the_same(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    fill(store, Crowd(3), int(time.time()))
    store.notes.put(Course(REVISION, 3, 5), COMMIT)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{'")
        connection.exec_driver_sql("UPDATE reports SET document = '[' WHERE box = 'box-00001'")
    web = TestClient(create_app(store, Settings(state=tmp_path)))
    paths = ("/", "/?agent=1", "/sites", "/boxes/box-00001", "/commits", "/activity", "/advisories", "/keys")
    assert {path: web.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)
