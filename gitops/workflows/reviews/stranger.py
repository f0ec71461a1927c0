"""A pull request is a stranger: planned in a process of its own, with an end to whatever it takes.

In: settings, a pull request, a scratch folder. Out: its `Summary`, or the `TowerosError` that says what is wrong with
it. Rules: the process has `MEMORY` bytes of addresses, `PROCESSOR` seconds of a processor, `PATIENCE` seconds in all,
`FILES` open files, `DISK` bytes a file; what passes one is ended, and that is what is said; its answer has at most
`ANSWER` bytes. What it fetched is in the scratch folder, which the caller removes. Nothing of the pull request is run,
here or elsewhere: this bounds what it costs to read.

    summary = plan(settings, pull, scratch)

The other side of the pipe is `python -m gitops.workflows.reviews.stranger`: settings and pull request as JSON on its
stdin, the answer as JSON on its stdout.
"""

import json
import os
import resource
import sys
from dataclasses import asdict
from errno import EFBIG, EMFILE, ENOMEM, ENOSPC
from functools import partial
from pathlib import Path
from typing import Any

import pygit2
from pydantic import TypeAdapter

from gitops.errors import FleetError, ForgeError, Problem, ProcessError, Reason, SourceError, TowerosError
from gitops.forges.forge import Pull
from gitops.model import Fleet, Json, Tree
from gitops.process import run
from gitops.review.nouns import Summary
from gitops.settings import Settings
from gitops.source import Access
from gitops.source.clone.commits import LocalClone
from gitops.source.clone.pulls import PullClone
from gitops.source.trust.signatures import Trust
from gitops.store import Store
from gitops.workflows.preview import Question, preview, verdict
from gitops.workflows.security.advisories import Advisories

MEMORY = 256 << 20
"""Bytes of addresses: Python and its libraries take a third of them."""
PROCESSOR, PATIENCE = 60, 90
"""Seconds of a processor; of a clock, the wait for the remote included. 10,000 boxes take a third of that."""
NEARLY = 16 << 20
"""Bytes: within so many of the bound, what fails is taken to have failed for memory."""
FILES = 512
DISK = 256 << 20
"""Bytes of one file: what is fetched is one pack and its index."""
ANSWER = 4 << 20
"""Bytes that the controller reads: 10,000 boxes are a quarter of that."""
PROBLEMS = 2000
"""Mistakes that are handed on: a comment has room for fewer."""
WINDOW = 8 << 20
"""Bytes of packs that are mapped at once: they count as memory."""
PASSED = 3
"""Exit code: a bound was passed."""
_SUMMARY = TypeAdapter(Summary)


def plan(settings: Settings, pull: Pull, scratch: Path) -> Summary:
    """A pull request's plan, from its files. The branch that it wants to go to was fetched.

    Raises:
        ForgeError: the remote does not give it now; ask again later.
        TowerosError: it has mistakes, or it passes a bound.
    """
    command = [sys.executable, "-m", __name__]
    # Every thread's arena would take 64 MiB of addresses (mallopt(3)).
    env = {"MALLOC_ARENA_MAX": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        said = run(command, stdin=asked(settings, pull, scratch), timeout=PATIENCE, env=env)
    except ProcessError as error:
        raise _failed(error) from None
    try:
        answer = json.loads(said)
    except ValueError:
        raise SourceError("it cannot be planned: no answer came", hint="see the controller's log") from None
    if "error" in answer:
        raise _error(answer["error"])
    return _SUMMARY.validate_python(answer["summary"])


def asked(settings: Settings, pull: Pull, scratch: Path) -> bytes:
    """What the process reads."""
    question = {"settings": settings.model_dump(mode="json"), "pull": asdict(pull), "scratch": str(scratch)}
    return json.dumps(question).encode()


def _failed(error: ProcessError) -> SourceError:
    if error.code not in (None, PASSED):
        words = error.message.splitlines()[-1][:200]
        return SourceError(f"it cannot be planned: {words}", hint="does `toweros plan` say more, on a clone?")
    bounds = f"{MEMORY >> 20} MiB, {PROCESSOR} s of a processor, {PATIENCE} s in all or {DISK >> 20} MiB of disk"
    hint = "make it smaller, or cut it into several; `toweros plan` on a clone has no such bounds"
    return SourceError(f"planning it takes more than {bounds}", hint=hint, reason=Reason.too_large)


# --- the other side ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Answer one question. Whatever else is printed, the log for one, is no part of the answer."""
    answers = os.dup(1)
    os.dup2(2, 1)
    bounds = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CPU: PROCESSOR,
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_FSIZE: DISK,
        resource.RLIMIT_CORE: 0,
    }
    for bound, most in bounds.items():
        resource.setrlimit(bound, (most, most))
    pygit2.settings.mwindow_size, pygit2.settings.mwindow_mapped_limit = WINDOW // 4, WINDOW
    question = json.load(sys.stdin)
    try:
        summary = _plan(Settings(**question["settings"]), Pull(**question["pull"]), Path(question["scratch"]))
        answer = {"summary": _SUMMARY.dump_python(summary, mode="json")}
    except TowerosError as error:
        if _is_passed(error) or _is_passed(error.__cause__) or (error.__cause__ and _is_full()):
            sys.exit(PASSED)
        answer = {"error": _told(error)}
    except Exception as error:
        if _is_passed(error) or _is_full():
            sys.exit(PASSED)
        raise
    said = json.dumps(answer)
    if len(said) > ANSWER:
        sys.exit(PASSED)
    with os.fdopen(answers, "w") as pipe:
        pipe.write(said)


def _plan(settings: Settings, pull: Pull, scratch: Path) -> Summary:
    store = Store.of(settings)
    clone = PullClone(Access.of(settings), store.paths.review).fetch(pull.branch, pull.ref, scratch)
    if not clone.has(pull.head):
        raise SourceError("its head has moved meanwhile", hint="it is looked at again", transient=True)
    question = ask(settings, pull, clone)
    return preview(question, store, None, Advisories(store, settings.feeds), partial(_missing, settings, store))


def _missing(settings: Settings, store: Store, fleet: Fleet, tree: Tree, base: Fleet | None) -> tuple[str, ...]:
    """Images that cannot be had; what only the stranger names is asked of nobody."""
    if not any(box.images_of_others() for box in fleet.boxes.values()):
        return ()
    from gitops.workflows.images.missing import Bounds, missing  # HTTP takes memory, and most fleet repos need none

    return missing(fleet, tree, settings, store, Bounds.of_stranger(base))


def ask(settings: Settings, pull: Pull, clone: LocalClone) -> Question:
    """What is compared: the head, and where it left its branch."""
    head = clone.revision(pull.head)
    base = clone.fork_point(head, pull.branch)
    first = Trust.of_files(settings.allowed_signers, settings.openpgp_keys)
    judged = verdict(clone, head, base, first)
    point = (base, clone.tree(base)) if base else None
    return Question(point, (head, clone.tree(head)), judged, True, settings.platform, settings.keys)


def _is_passed(error: BaseException | None) -> bool:
    """libgit2 says it in words: of memory, of a file that it may not map or write."""
    if isinstance(error, OSError):
        return error.errno in (ENOMEM, EFBIG, EMFILE, ENOSPC)
    words = ("memory", "mmap", "too large", "too many open files", "no space left")
    return isinstance(error, MemoryError) or (
        isinstance(error, pygit2.GitError) and any(word in str(error).lower() for word in words)
    )


def _is_full() -> bool:
    """Whether there was no memory left, whatever words a library has for it (`VmPeak`, proc(5))."""
    try:
        with Path("/proc/self/status").open() as status:
            peak = next(line.split()[1] for line in status if line.startswith("VmPeak:"))
    except MemoryError:
        return True
    return (int(peak) << 10) > MEMORY - NEARLY


def _told(error: TowerosError) -> Json:
    problems = [asdict(each) for each in error.problems[:PROBLEMS]] if isinstance(error, FleetError) else []
    transient = isinstance(error, SourceError) and error.transient
    return {"message": error.message, "hint": error.hint, "problems": problems, "transient": transient}


def _error(told: Any) -> TowerosError:
    if told["problems"]:
        return FleetError([Problem(**each) for each in told["problems"]])
    kind = ForgeError if told["transient"] else TowerosError
    return kind(told["message"], hint=told["hint"])


if __name__ == "__main__":
    main()
