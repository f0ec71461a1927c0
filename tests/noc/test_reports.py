"""What boxes say goes to the origin, in order, whatever happens on the way; strangers push nobody's aside."""

import json
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests

from gitops.noc.saying import relaying
from gitops.noc.saying import reports as queue
from gitops.noc.saying.reports import ReportError, Reports
from gitops.server.boxes.reports import AT_A_TIME
from gitops.server.busy import LEAST, Queue
from tests.kit.nocs import STRANGER, Noc, noc, report, reports
from tests.simulators.update_server import UpdateServer


def said(folder: Path, box: str = "demo-1") -> list[int]:
    bodies = [json.loads(path.read_bytes()) for path in sorted((folder / box).glob("*.json"))]
    return [json.loads(each["report"])["counter"] for each in bodies]


def send(here: Noc, body: bytes, box: str = "demo-1", **headers: str) -> requests.Response:
    return requests.post(f"{here.url}/api/v1/boxes/{box}/report", body, headers=headers, timeout=20)


def test_the_origin_s_own_answer_and_receipt_come_back(server: UpdateServer, here: Noc) -> None:
    answer = send(here, report(1))
    assert answer.status_code == 204 and answer.headers["toweros-receipt"]
    server.post_status = 409
    answer = send(here, report(1))
    assert answer.status_code == 409 and answer.headers["toweros-receipt"] and here.says()["waiting"] == {}


def test_what_is_kept_is_said_not_to_have_arrived_and_survives_the_end_of_the_process(
    server: UpdateServer, here: Noc, tmp_path: Path
) -> None:
    server.leave()
    for counter in (1, 2):
        answer = send(here, report(counter, error=str(counter)))
        assert (answer.status_code, "toweros-receipt" in answer.headers) == (202, False)
        assert int(answer.headers["toweros-waits"]) <= time.time()
    again = Reports(tmp_path / "noc" / "reports")
    server.come_back()
    assert again.waiting() == {"demo-1": 2} and here.once().waiting == {}
    assert [each["counter"] for each in reports(server)] == [1, 2]


def test_an_origin_in_trouble_is_away_and_what_waits_goes_before_what_comes(server: UpdateServer, here: Noc) -> None:
    server.post_status = 503
    assert send(here, report(1, error="1")).status_code == 202
    server.post_status = 204
    here.site.relay.away = 0.0
    assert send(here, report(2)).status_code == 204
    assert [each["counter"] for each in reports(server)] == [1, 2]


def test_what_says_the_same_takes_its_place_and_the_newest_of_a_box_stay(tmp_path: Path) -> None:
    kept = Reports(tmp_path)
    for counter in range(1, 5):
        kept.keep("demo-1", report(counter, time=counter))
    assert said(tmp_path) == [4]
    for counter in range(5, 5 + queue.EACH):
        kept.keep("demo-1", report(counter, error=str(counter)))
    assert said(tmp_path) == [*range(5, 5 + queue.EACH)] and kept.dropped == 1


def test_the_box_that_says_most_loses_its_oldest_when_all_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "BYTES", 4000)
    kept = Reports(tmp_path)
    kept.keep("demo-2", report(1, box="demo-2"))
    for counter in range(1, 21):
        kept.keep("demo-1", report(counter, error=str(counter)))
    assert said(tmp_path, "demo-2") == [1] and said(tmp_path)[-1] == 20 and kept.dropped > 0


def test_a_stranger_s_report_pushes_nothing_aside(tmp_path: Path) -> None:
    kept = Reports(tmp_path)
    kept.taken("demo-1", report(1))
    with pytest.raises(ReportError, match="another key"):
        kept.keep("demo-1", report(2, STRANGER))
    forged = json.loads(report(3)) | {"report": json.loads(report(4))["report"]}
    for body in (json.dumps(forged).encode(), b"x", b"[" * 9999, b'{"report": 1}', report(5, box="demo-2")):
        with pytest.raises(ReportError):
            kept.keep("demo-1", body)
    assert Reports(tmp_path).waiting() == {}


def test_who_is_none_of_the_site_s_boxes_is_passed_on_and_never_kept(server: UpdateServer, here: Noc) -> None:
    assert send(here, report(1, box="other"), "other").status_code == 204
    server.leave()
    assert send(here, report(2, box="other"), "other").status_code == 403
    assert send(here, report(1), "..%2f..%2fx").status_code == 404


def test_a_body_without_end_is_cut(here: Noc) -> None:
    assert send(here, b"x" * (1 << 20)).status_code == 413


def test_reports_that_an_origin_lets_wait_fill_no_site(
    server: UpdateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the server itself: whoever is one too many is told when to come again, and asks the server meanwhile."""
    monkeypatch.setattr(relaying, "Queue", lambda at_a_time: Queue(at_a_time, most=1))
    goes, many = threading.Event(), AT_A_TIME + 4
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as here, ThreadPoolExecutor(many) as pool:
        here.once()
        real = here.site.relay.take
        monkeypatch.setattr(here.site.relay, "take", lambda *said: goes.wait(20) and real(*said))
        sent = {pool.submit(send, here, report(counter)) for counter in range(many)}
        refused, waiting = set[Future[requests.Response]](), sent
        while len(refused) < 3:
            done, waiting = wait(waiting, 20, FIRST_COMPLETED)
            assert done, "all of them wait"
            refused |= done
        goes.set()
        assert {each.result().status_code for each in refused} == {503}
        assert all(int(each.result().headers["retry-after"]) >= LEAST for each in refused)
        assert not {each.result().status_code for each in waiting} & {503}


def test_two_nocs_that_are_each_other_s_origin_send_nothing_round_and_round(here: Noc) -> None:
    here.site.relay.url = here.url
    assert send(here, report(1)).status_code == 202  # kept: whoever it sent it to said 508
    assert send(here, report(2), **{"toweros-via": "1 2 3 4"}).status_code == 508


def test_a_folder_of_reports_that_is_damaged_holds_up_nothing(server: UpdateServer, here: Noc, tmp_path: Path) -> None:
    server.leave()
    send(here, report(1))
    server.come_back()
    folder = tmp_path / "noc" / "reports"
    [path] = (folder / "demo-1").iterdir()
    path.write_bytes(os.urandom(40))
    (folder / "keys.json").write_bytes(b"\0")
    Reports(folder)
    server.post_status = 400
    assert here.once().waiting == {}
