"""What a pass costs when Git says nothing new, as a ratio to `git ls-remote` on the same repository.

In: a state folder's toweros.toml (a copy: the store's lease is taken). Out: seconds of wall clock and of processor time
per pass, per `git ls-remote`, the ratio, and the memory of this process.

    python bench/noop_poll.py --config /tmp/copy/toweros.toml
"""

import argparse
import logging
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from gitops.controller import Controller
from gitops.settings import load
from gitops.store import Store


def measure(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median wall-clock and mean processor seconds (children included) of one round."""
    walls, before = [], _processor()
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls), (_processor() - before) / rounds


def main() -> None:
    """Measure both in turn and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=20)
    words = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = load(words.config)
    store = Store.of(settings)
    ask = ["git", "ls-remote", settings.repository]
    with store.lease.held():
        controller = Controller(settings, store)
        if not controller.run_once().plan.empty:
            raise SystemExit("that pass had work to do: run it again")
        ours = measure(controller.run_once, words.rounds)
        theirs = measure(lambda: subprocess.run(ask, check=True, capture_output=True), words.rounds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, (wall, processor) in {"no-op pass": ours, "git ls-remote": theirs}.items():
        print(f"{name:14} {wall * 1000:8.1f} ms wall {processor * 1000:8.1f} ms processor")
    print(f"{'ratio':14} {ours[0] / theirs[0]:8.1f}         {ours[1] / theirs[1]:8.1f}")
    print(f"{'memory':14} {memory:8.1f} MiB at most")


def _processor() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
