"""The process itself: started by its verb, killed at any moment, asked by boxes that it does not know yet."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitops.cli.output import Output
from gitops.cli.site.noc import _status as show
from gitops.errors import StoreError
from gitops.noc.showing.asking import note
from tests.kit.nocs import box_at, noc, offer, passing, release, settle
from tests.simulators.box import State
from tests.simulators.update_server import UpdateServer

PATIENCE = 60


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        yield running


@contextmanager
def started(folder: Path, server: UpdateServer, *more: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`toweros noc`, and its URL."""
    (folder / "root.json").write_bytes(server.root)
    words = [sys.executable, "-c", "from gitops.cli.main import main; main()", "noc", "--origin", server.url]
    words += ["--root", str(folder / "root.json"), "--state", str(folder / "noc"), "--listen", "127.0.0.1:0"]
    words += ["--poll", "1", *more]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        url = ""
        for line in process.stderr:
            if found := re.search(r"NOC on (http://\S+),", line):
                url = found[1]
                break
        try:
            yield process, url
        finally:
            process.kill()


def test_a_noc_that_is_killed_in_the_middle_serves_nothing_half_and_goes_on(
    server: UpdateServer, tmp_path: Path
) -> None:
    made = offer(server, release(8))
    [*_, last] = made.blobs

    def slowly(data: bytes) -> Iterator[bytes]:
        yield data[: len(data) // 2]
        time.sleep(PATIENCE)

    server.faults[f"/layers/{last}.zst"] = slowly
    with started(tmp_path, server, "--box", "demo-1") as (process, _):
        end = time.monotonic() + PATIENCE
        while f"/layers/{last}.zst" not in server.paths() and time.monotonic() < end:
            time.sleep(0.05)
        process.kill()
    assert not (tmp_path / "noc" / "layers" / last).exists()
    assert not (tmp_path / "noc" / "repo" / "metadata" / "timestamp.json").exists()
    server.faults.clear()
    with started(tmp_path, server, "--box", "demo-1") as (process, url):
        box = box_at(url, tmp_path / "box", server.root)
        agent, end = settle(box), time.monotonic() + PATIENCE
        while (agent.boot.sequence, agent.state) != (8, State.IDLE) and time.monotonic() < end:
            agent = settle(box)
        assert agent.boot.sequence == 8
        assert (tmp_path / "noc" / "address").read_text().strip() == url
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_its_operator_reads_on_the_machine_what_its_page_says(
    server: UpdateServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "noc"
    with pytest.raises(StoreError, match="no NOC has run in"):
        show(folder, Output.table)
    offer(server, release(8))
    with noc(folder, server, boxes=("demo-1",)) as site:
        site.once()
        note(folder, site.url)
        capsys.readouterr()
        show(folder, Output.json)
        said, page = json.loads(capsys.readouterr().out), site.says()
        assert said == page | {"says": said["says"]} and said["says"] == "up to date"
        server.leave()
        site.once()
        show(folder, Output.table)
        said = capsys.readouterr().out
        assert "works without the origin" in said and "days from now" in said and "box demo-1" in said
    with pytest.raises(StoreError, match="does not answer"):
        show(folder, Output.table)
    note(folder, server.url)
    server.come_back()
    with pytest.raises(StoreError, match="something else than a NOC"):
        show(folder, Output.table)


def test_whoever_asks_is_served_and_remembered(server: UpdateServer, tmp_path: Path) -> None:
    offer(server, release(8))
    with noc(tmp_path / "noc", server, poll=600.0) as site, passing(site.site):
        box, end = box_at(site.url, tmp_path / "box", server.root), time.monotonic() + PATIENCE
        agent = settle(box)
        while (agent.boot.sequence, agent.state) != (8, State.IDLE) and time.monotonic() < end:
            agent = settle(box)
        assert (agent.boot.sequence, agent.state) == (8, State.IDLE)
        site.get("/targets/nobody/" + "0" * 64 + ".release.json")
    with noc(tmp_path / "noc", server) as again:
        again.once()
        assert [*again.says()["boxes"]] == ["demo-1"]


def test_the_page_says_how_it_is_and_nothing_of_others_gets_into_it(server: UpdateServer, tmp_path: Path) -> None:
    offer(server, release(8))
    with noc(tmp_path / "noc", server, boxes=("demo-1",), name="<b>site</b>") as site:
        site.once()
        page = site.get("/")
        assert "up to date" in page.text and "<b>site" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        metrics = site.get("/metrics").text
        assert "toweros_noc_origin_away 0.0" in metrics and "toweros_noc_boxes 1.0" in metrics
        server.leave()
        site.once()
        assert "toweros_noc_origin_away 1.0" in site.get("/metrics").text
        assert "works without the origin" in site.get("/").text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--origin", ""], "--origin is missing"),
        (["--origin", "ftp://x"], "an http:// or https:// URL is expected"),
        (["--most", "12"], "at least 64M are expected"),
        (["--box", "../x"], "no box can be called so"),
        (["--root", "BOXES"], "it is no TUF root"),
        (["--boxes", "BOXES"], "BOXES:2: 'a b': no box can be called so"),
        (["--root", "/dev/zero"], "is a device"),
        (["--boxes", "/dev/zero"], "is a device"),
    ],
    ids=["no origin", "origin", "most", "box", "root", "boxes", "a root without end", "boxes without end"],
)
def test_what_is_wrong_at_the_start_is_said(
    words: list[str], said: str, server: UpdateServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gitops.cli.site.noc import noc as verb
    from gitops.errors import TowerosError

    (tmp_path / "root.json").write_bytes(server.root)
    (tmp_path / "boxes").write_text("demo-1 # the first\na b\n")
    values = {"origin": server.url, "root": tmp_path / "root.json", "state": tmp_path / "noc", "most": "20G"}
    option = words[0].removeprefix("--")
    file = Path(words[1].replace("BOXES", str(tmp_path / "boxes")))
    given = {"box": [words[1]], "boxes": file, "root": file}.get(option, words[1])
    values[option] = given
    with pytest.raises(TowerosError) as error:
        verb(
            **{
                "listen": "127.0.0.1:0",
                "box": None,
                "boxes": None,
                "poll": 1.0,
                "name": "",
                "take": None,
                "bundles": None,
            }
            | values
        )
    assert said.replace("BOXES", str(tmp_path / "boxes")) in error.value.message
