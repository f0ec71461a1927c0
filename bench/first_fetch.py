"""What the first fetch and a poll that finds nothing new cost, as ratios to `git clone` and `git ls-remote` next to it.

In: sizes in MB, numbers of refs. Out: a table. `path`: the remote is a folder; `https`: nginx and git-http-backend;
`ssh`: sshd. Each figure is the median of the rounds, taken in turn with Git's; memory is the largest of our process and
of the programs that it starts, added up (resident pages at most; what Python starts has as many as Python before it
begins, some 50 MiB), and Git's largest.

    python bench/first_fetch.py                                   # 2, 20 and 200 MB; 100, 1,000 and 20,000 refs
    python bench/first_fetch.py --sizes 2 --refs 100 --rounds 1
"""

import argparse
import logging
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pygit2
import structlog

from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.remote import Access
from tests.simulators.https import TOKEN, GitHttps
from tests.simulators.sshd import Sshd

FILE, TEXT = 40_000, 2_000
"""Bytes of a file that nothing compresses; lines of one that changes a little with each commit."""


def make(path: Path, megabytes: int) -> None:
    """A bare repository of one pack: files of noise, and texts that are deltas of each other."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    chance, left, number = random.Random(megabytes), megabytes << 20, 0
    text = [f"line {chance.getrandbits(60):x}\n".encode() for _ in range(TEXT)]
    with subprocess.Popen(["git", "-C", path, "fast-import", "--quiet"], stdin=subprocess.PIPE) as process:
        assert process.stdin
        while left > 0:
            number += 1
            text[chance.randrange(TEXT)] = f"edit {chance.getrandbits(60):x}\n".encode()
            files = {f"noise/{number % 50}/{number}-{each}": chance.randbytes(FILE) for each in range(4)}
            files |= {f"text/{each}": b"".join(text) for each in range(4)}
            process.stdin.write(
                b"commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 2\nx\n" % (1_700_000_000 + number)
            )
            for name, data in files.items():
                process.stdin.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data))
            left -= 4 * FILE


def add_refs(path: Path, count: int) -> None:
    """Half of them tags, half pull requests, as a forge keeps them."""
    head = subprocess.run(
        ["git", "-C", path, "rev-parse", "main"], check=True, capture_output=True, text=True
    ).stdout.strip()
    names = (f"refs/tags/v0.{n}.0" if n % 2 else f"refs/pull/{n}/head" for n in range(count))
    lines = "".join(f"create {name} {head}\n" for name in names)
    subprocess.run(["git", "-C", path, "update-ref", "--stdin"], input=lines, text=True, check=True)
    subprocess.run(["git", "-C", path, "pack-refs", "--all"], check=True)


def measure(work: Callable[[Path], object]) -> tuple[float, float]:
    """Seconds, and MiB at most, of some work in a process of its own."""
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            start = time.perf_counter()
            work(Path(folder))
            seconds = time.perf_counter() - start
            both = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            os.write(writer, f"{seconds} {both[0]} {both[1]}".encode())
            os._exit(0)
        os.waitpid(child, 0)
    said = os.read(reader, 200).decode().split()
    os.close(reader)
    os.close(writer)
    return float(said[0]), (float(said[1]) + float(said[2])) / 1024


def fetch(access: Access) -> Callable[[Path], object]:
    def work(folder: Path) -> None:
        clone = DeployingClone(access, folder)
        clone.fetch_branch("main", clone.heads())

    return work


def poll(access: Access) -> Callable[[Path], object]:
    def work(folder: Path) -> None:
        DeployingClone(access, folder).heads()

    return work


def git(command: str, *words: str) -> Callable[[Path], object]:
    """What it tells of a clone's folder goes nowhere."""

    def work(folder: Path) -> None:
        more = [str(folder / "clone.git")] if command == "clone" else []
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", command, *words, *more], env=env, check=True, stdout=subprocess.DEVNULL)

    return work


def show(name: str, ours: Callable[[Path], object], theirs: Callable[[Path], object], rounds: int) -> None:
    """One line. The process that starts Git is taken off Git's memory."""
    rows = [(measure(ours), measure(theirs)) for _ in range(rounds)]
    nothing = measure(lambda _: None)[1]
    (mine, memory), (its, their_memory) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in zip(*rows, strict=True)
    )
    print(
        f"{name:26} {mine:8.2f} s {its:8.2f} s {mine / its:6.2f} x {memory:8.0f} MiB {their_memory - nothing:8.0f} MiB",
        flush=True,
    )


@contextmanager
def remotes(folder: Path, repository: Path) -> Iterator[dict[str, tuple[Access, str]]]:
    """By name: how we get there, and the URL for Git."""
    with GitHttps(folder / "https", folder) as server, Sshd(folder / "sshd") as shell:
        (folder / "token").write_text(TOKEN)
        os.environ["SSL_CERT_FILE"] = os.environ["GIT_SSL_CAINFO"] = str(server.certificate)
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        url, by_ssh = server.url(repository.name), f"ssh://root@127.0.0.1:{shell.port}{repository}"
        words = f"-F none -i {shell.user_key} -o UserKnownHostsFile={shell.known_hosts} -o IdentitiesOnly=yes"
        os.environ["GIT_SSH_COMMAND"] = f"ssh {words}"
        yield {
            "path": (Access(str(repository)), str(repository)),
            "file://": (Access(f"file://{repository}"), f"file://{repository}"),
            "https": (Access(url, token_file=folder / "token"), url.replace("@", f":{TOKEN}@")),
            "ssh": (Access(by_ssh, shell.user_key, shell.known_hosts), by_ssh),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2, 20, 200], help="MB")
    parser.add_argument("--refs", type=int, nargs="*", default=[100, 1_000, 20_000])
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(f"{'':26} {'ours':>10} {'git':>10} {'ratio':>8} {'ours':>12} {'git':>12}")
    for size in words.sizes:
        with tempfile.TemporaryDirectory() as name:
            repository = Path(name, "fleet.git")
            make(repository, size)
            with remotes(Path(name), repository) as places:
                for place, (access, url) in places.items():
                    # `--no-local`: else Git makes links of the packs, and there is nothing to compare.
                    theirs = git("clone", "-q", "--bare", "--no-local", url)
                    show(f"first fetch {size} MB, {place}", fetch(access), theirs, words.rounds)
    for count in words.refs:
        with tempfile.TemporaryDirectory() as name:
            repository = Path(name, "fleet.git")
            make(repository, 1)
            add_refs(repository, count)
            with remotes(Path(name), repository) as places:
                for place, (access, url) in places.items():
                    show(f"poll {count} refs, {place}", poll(access), git("ls-remote", url), words.rounds * 3)


if __name__ == "__main__":
    main()
