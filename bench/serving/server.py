"""What a box's idle poll (a conditional GET) costs the update server, as ratios to nginx on the same files.

In: how long each is asked. Out: for nginx alone (as plain as it gets, on the folder), nginx in front of us
(contrib/nginx/toweros-files.conf) and us alone: answers a second of one core, p50 and p99, and the ratio to nginx
alone; with connections that stay, and with one for each poll, as agents have them. A ratio is by the processor time
that the server's own processes took: what else this machine does falls on all.

    nice -n 5 python bench/serving/server.py --seconds 5
"""

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import requests
from load import Answers, asked, conditional, percentile, processor

from gitops.lab.hardware import free_port
from gitops.publish.elsewhere.copying import Copying, Memory
from gitops.publish.elsewhere.place import Folder
from gitops.publish.elsewhere.tree import Tree
from gitops.server import Apart, create_app, serve, settled
from gitops.settings import Settings
from tests.kit.published import kit

FRONT = Path(__file__).parents[2] / "contrib/nginx/toweros-files.conf"
STAMP = "/metadata/timestamp.json"
PATIENCE = 60.0


def ours(folder: Path, said: "multiprocessing.Queue[int]") -> None:
    """A process: the server, with a fleet's folder of published files."""
    made = kit(folder / "fleet")
    made.publisher.publish([made.publication(f"box-{number}", 1) for number in range(20)])
    Copying(Tree(made.store, made.publisher.offered), Folder("front", folder / "out"), 3600).run(Memory(), time.time())
    settings = Settings(state=made.store.paths.root)
    settled()
    with Apart(settings) as render, serve(create_app(made.store, settings, render), "127.0.0.1:0") as url:
        said.put(int(url.rpartition(":")[2]))
        said.put(os.getpid())
        time.sleep(3600)


def front(folder: Path, port: int, server: int) -> str:
    """nginx's configuration in front of us."""
    text = FRONT.read_text()
    for theirs, here in {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:8080": f"127.0.0.1:{server}",
        "/srv/toweros;": f"{folder / 'out'};",
    }.items():
        text = text.replace(theirs, here)
    return text


def alone(folder: Path, port: int, _server: int) -> str:
    """nginx's configuration with nobody behind it."""
    return f"server {{ listen 127.0.0.1:{port}; root {folder / 'out'}; etag on; keepalive_timeout 65s; }}"


@contextlib.contextmanager
def nginx(folder: Path, server: int, configured: Callable[[Path, int, int], str]) -> Iterator[tuple[int, int]]:
    """The port of an nginx, and the process that serves."""
    port = free_port()
    text, folder = configured(folder, port, server), folder / configured.__name__
    folder.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log stderr;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{temporary}{text}\n}}\n"
    )
    with subprocess.Popen(["nginx", "-e", "stderr", "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL) as running:
        try:
            end = time.monotonic() + PATIENCE
            while running.poll() is None and time.monotonic() < end:
                with contextlib.suppress(requests.ConnectionError):
                    requests.get(f"http://127.0.0.1:{port}{STAMP}", timeout=5)
                    break
                time.sleep(0.05)
            yield port, running.pid
        finally:
            running.terminate()
            running.wait(PATIENCE)


@dataclass(frozen=True)
class Measured:
    """`each`: seconds of processor time that one answer took."""

    answers: Answers
    each: float

    def line(self, name: str, beside: "Measured") -> str:
        took = self.answers.took
        return (
            f"{name:24} {1 / self.each:9.0f} answers a core-second {self.answers.count / self.answers.seconds:8.0f}/s "
            f"p50 {percentile(took, 0.5):6.2f} ms p99 {percentile(took, 0.99):7.2f} ms  "
            f"ratio {beside.each / self.each:5.2f}"
        )


def measured(port: int, pid: int, seconds: float, *, fresh: bool) -> Measured:
    etag = requests.get(f"http://127.0.0.1:{port}{STAMP}", timeout=PATIENCE).headers["etag"]
    request = conditional(STAMP, etag)
    asked(port, request, seconds=min(1.0, seconds), fresh=fresh)
    before = processor(pid)
    answers = asked(port, request, seconds=seconds, fresh=fresh)
    if answers.wrong or not answers.count:
        raise SystemExit(f"{answers.wrong} of {answers.count} answers were no 304")
    return Measured(answers, (processor(pid) - before) / answers.count)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """(port, process) of nginx alone, of nginx in front of us, and of us."""
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=ours, args=(folder, said))
    process.start()
    try:
        us = said.get(timeout=PATIENCE), said.get(timeout=PATIENCE)
        with nginx(folder, us[0], alone) as by_itself, nginx(folder, us[0], front) as before:
            yield {"nginx": by_itself, "nginx before us": before, "us": us}
    finally:
        process.kill()
        process.join()


def polls(folder: Path, seconds: float) -> None:
    with servers(folder) as here:
        for fresh, words in ((False, "kept"), (True, "fresh")):
            beside: Measured | None = None
            for name, (port, process) in here.items():
                found = measured(port, process, seconds, fresh=fresh)
                beside = beside or found
                print(found.line(f"{name}, {words}", beside), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        polls(Path(folder), words.seconds)


if __name__ == "__main__":
    main()
