"""Do the tests notice? Each decision of the paths that must not be wrong is changed, one at a time.

In: nothing, or the names of modules. Out: a table module | mutants | killed | %, and every survivor that `ALIKE` does
not name with a reason; exit code 1 when a module has less than nine in ten killed.

A mutant is a function whose code is put in the place of the real one, in a forked process that has everything loaded
already: no import, no build, a tenth of a second. It runs tests that call the function, first those that killed
others, then one of each way through it, until one fails; those are known from a first run of the module's tests, which
must pass (docs/adr/0045). Texts for people, constants of modules and defaults of arguments are left as they are.

    python bench/mutants/mutate.py                                  # hours on two cores; part of `make soak`
    python bench/mutants/mutate.py gitops/rollout/rules.py
"""

import ast
import contextlib
import copy
import importlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

HERE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HERE), str(HERE / "pkg" / "agent")]
os.chdir(HERE)

import pytest  # noqa: E402

from bench.mutants.alike import ALIKE  # noqa: E402
from bench.mutants.telling import Telling  # noqa: E402

AGENT = "pkg/agent/toweros_agent"
TRUST = [f"source/test_{name}.py" for name in (
    "nobody_locked_out", "ssh_authorities", "paths_and_people", "again", "trust", "policy_attacks", "openpgp_floods",
)]  # fmt: skip
"""Who signed, whether that counts, and what stays so."""
MODULES: dict[str, list[str]] = {
    "gitops/rollout/rules.py": ["rollout/test_rollout.py"],
    f"{AGENT}/health/probation.py": ["agent/test_verdict.py"],
    f"{AGENT}/rules.py": ["agent/test_parts.py"],
    "gitops/source/trust/rules.py": ["source/test_trust.py", "source/test_nobody_locked_out.py"],
    f"{AGENT}/host/esp.py": ["agent/test_esp.py", "agent/test_room.py::test_a_full_esp_takes_no_entry"],
    f"{AGENT}/host/renaming.py": ["agent/test_renaming.py", "agent/test_esp.py"],
    f"{AGENT}/host/started.py": ["agent/test_started.py", "agent/test_verdict.py"],
    f"{AGENT}/host/disk.py": ["agent/test_disk.py", "agent/test_parts.py", "agent/test_history.py"],
    f"{AGENT}/host/memory.py": ["agent/test_disk.py", "agent/test_parts.py", "agent/test_history.py"],
    f"{AGENT}/machine.py": ["agent/test_parts.py", "agent/test_verdict.py"],
    "gitops/rollout/holds.py": ["rollout/test_holds.py"],
    "gitops/rollout/retries.py": ["rollout/test_retries.py", "workflows/turns/test_again.py"],
    "gitops/rollout/careful.py": ["rollout/test_careful.py"],
    "gitops/rollout/counting/standing.py": ["rollout/test_careful.py"],
    "gitops/rollout/steering.py": ["rollout/test_steering.py", "workflows/turns/test_turns.py"],
    "gitops/rollout/stops.py": ["rollout/test_stops.py"],
    "gitops/rollout/pins.py": ["rollout/test_pins.py"],
    "gitops/rollout/leases/rules.py": ["rollout/leases/test_rules.py"],
    "gitops/model/rollout/windows.py": ["rollout/test_windows.py"],
    f"{AGENT}/offer/trust.py": [f"agent/test_{name}.py" for name in ("offered", "stick", "joining", "near")]
    + ["publish/test_small.py"],
    f"{AGENT}/health/counters.py": ["agent/test_keeper.py"],
    f"{AGENT}/history.py": ["agent/test_history.py"],
    "gitops/source/trust/judge.py": ["source/test_judge.py", *TRUST],
    "gitops/source/trust/releases.py": ["source/test_trust.py"],
    "gitops/source/versions.py": ["source/test_versions.py", "source/test_policy.py"],
    "gitops/source/trust/objects.py": ["source/test_trust.py", "source/objects/test_headers.py"],
    "gitops/source/trust/signers.py": ["source/test_judge.py", "source/test_limits.py", *TRUST],
    "gitops/source/trust/signatures.py": ["source/test_signatures.py", *TRUST],
    "gitops/source/trust/openpgp.py": ["source/test_signatures.py", *TRUST],
    "gitops/source/trust/deployed.py": ["source/test_trust.py"],
    "gitops/rollout/status.py": ["server/test_server.py", "rollout/test_status.py"],
    f"{AGENT}/firmware/authenticode.py": ["agent/test_authenticode.py"],
}
ENOUGH, JOBS, MOST_TESTS = 0.9, int(os.environ.get("JOBS", "2")), 60
QUIET = ["-x", "-q", "-p", "no:cacheprovider", "--timeout=120", "--tb=no"]

# --- what is changed ---

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changed(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901 - a table
    """What may stand in the place of a node."""
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                if type(op) in SWAPS:
                    yield _with(node, ops=[*ops[:at], SWAPS[type(op)](), *ops[at + 1 :]])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            yield _with(node, op=SWAPS[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(test, ast.UnaryOp):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[first, *rest]):
            yield _with(node, ifs=[ast.UnaryOp(ast.Not(), first), *rest])
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue():
            yield ast.Pass()
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@dataclass
class Mutant:
    """`code` in the place of what the function at `path` of its module does; `change` says which of several."""

    module: str
    path: tuple[str, ...]
    line: int
    change: str
    code: CodeType
    killed: str = ""

    @property
    def place(self) -> str:
        return f"{'/'.join(Path(self.module).parts[-2:])}:{'.'.join(self.path)}"

    @property
    def alike(self) -> bool:
        """It lives, and for a reason that is known."""
        return not self.killed and self.change in ALIKE.get(self.place, ())

    @property
    def alive(self) -> bool:
        return not self.killed and not self.alike


def mutants(module: str) -> list[Mutant]:
    """All of a module's, function by function."""
    text = (HERE / module).read_text()
    found, seen = list[Mutant](), Counter[tuple[object, str]]()
    for path, place in functions(ast.parse(text)):
        count = len(list(sites(place)))
        for number in range(count):
            tree = ast.parse(text)
            inside = dict(functions(tree))[path]
            parent, name, index, before, after = list(sites(inside))[number]
            if hasattr(before, "lineno"):
                ast.copy_location(after, before)
            value = getattr(parent, name)
            if index is None:
                setattr(parent, name, after)
            else:
                value[index] = after
            change = f"{short(before)} -> {short(after)}"
            seen[path, change] += 1
            change += f" ({seen[path, change]})" if seen[path, change] > 1 else ""
            code = inner(compile(ast.fix_missing_locations(tree), str(HERE / module), "exec"), path)
            found.append(Mutant(module, path, getattr(before, "lineno", getattr(parent, "lineno", 0)), change, code))
    return found


def functions(tree: ast.AST, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield (*path, node.name), node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, (*path, node.name))


def sites(function: ast.FunctionDef) -> Iterator[tuple[Any, str, int | None, ast.AST, ast.AST]]:
    """(parent, field, index, before, after) of each change below a function's body; texts are left as they are."""
    todo: list[Any] = [each for each in function.body]
    for index, statement in enumerate(function.body):
        for after in changed(statement):
            yield function, "body", index, statement, after
    while todo:
        node = todo.pop(0)
        if isinstance(node, (ast.JoinedStr, ast.Raise, ast.Assert)):
            continue
        for name, value in ast.iter_fields(node):
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST) or name == "annotation":  # nobody asks for a local one
                    continue
                todo.append(child)
                for after in changed(child):
                    yield node, name, index, child, after


def short(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return "if " + " if ".join(map(ast.unparse, node.ifs))
    return ast.unparse(node).split("\n")[0][:90]


def inner(code: CodeType, path: tuple[str, ...]) -> CodeType:
    for name in path:
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
    return code


def function(module: str, path: tuple[str, ...]) -> FunctionType:
    """The real one, below whatever decorates it."""
    place: Any = importlib.import_module(module.removeprefix("pkg/agent/").removesuffix(".py").replace("/", "."))
    for name in path:
        place = place.__dict__[name] if isinstance(place, type) else getattr(place, name)
    place = place.func if isinstance(place, cached_property) else place
    place = getattr(place, "fget", None) or getattr(place, "__func__", None) or place
    while hasattr(place, "__wrapped__"):
        getattr(place, "cache_clear", lambda: None)()  # what another run of it found
        place = place.__wrapped__
    return place  # type: ignore[no-any-return]


# --- who notices ---


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Calls:
    """A plugin of pytest: which tests call which functions of a module, how each decides there, and how long they
    take."""

    module: str
    tests: dict[str, dict[str, set[tuple[int, Any]]]] = field(default_factory=lambda: defaultdict(dict))
    took: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    killers: Counter[str] = field(default_factory=Counter)
    now: str = ""

    def __post_init__(self) -> None:
        """Let every function say that it was called, and what it decides."""
        tree = ast.parse((HERE / self.module).read_text())
        paths = []
        for path, place in functions(tree):
            telling = Telling(".".join(path))
            telling.generic_visit(place)
            place.body.insert(0, ast.Expr(telling.told(ast.Constant(None))))
            paths.append(path)
        code = compile(ast.fix_missing_locations(tree), str(HERE / self.module), "exec")
        for path in paths:
            real = function(self.module, path)
            real.__globals__["__seen__"] = self._seen
            real.__code__ = inner(code, path)

    def _seen(self, name: str, decision: int, value: Any) -> Any:
        way = value if isinstance(value, (int, StrEnum)) else None
        with contextlib.suppress(Exception):
            way = bool(value) if way is None else way
        self.tests[name].setdefault(self.now, set()).add((decision, way))
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.now, began = item.nodeid, time.monotonic()
        result = yield
        self.took[item.nodeid] = time.monotonic() - began
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def of(self, path: tuple[str, ...]) -> list[str]:
        """The tests that call a function: those first that killed most, then by turns one of each way through it, the
        rarest way first; of one way those that are about little else, and the quickest."""
        went = {test: ways for test, ways in self.tests[".".join(path)].items() if test in self.took}
        breadth = {test: sum(test in others for others in self.tests.values()) for test in went}
        alike = defaultdict[frozenset[tuple[int, Any]], list[str]](list)
        for test in sorted(went, key=lambda test: (breadth[test], self.took[test])):
            alike[frozenset(went[test])].append(test)
        by_turns = [test for turn in zip_longest(*sorted(alike.values(), key=len)) for test in turn if test]
        return sorted(by_turns, key=lambda test: -self.killers[test])[:MOST_TESTS]


@dataclass
class First:
    """A plugin of pytest: the first test that fails is written to a file."""

    file: Path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.file.exists():
            self.file.write_text(report.nodeid)


def run(words: list[str], plugins: list[Any], folder: str) -> int:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = int(pytest.main([*QUIET, f"--basetemp={folder}", *words], plugins))
    if code and plugins:
        os.write(2, said.getvalue().encode())
    return code


def noticed(mutant: Mutant, tests: list[str], patience: float) -> str:
    """Which test kills a mutant, in a process of its own; "": it lives."""
    folder = tempfile.mkdtemp(prefix="mutant-", dir="/dev/shm")
    child = os.fork()
    if child == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        with contextlib.suppress(BaseException):
            function(mutant.module, mutant.path).__code__ = mutant.code
            os._exit(run(tests, [First(Path(folder, "first"))], f"{folder}/t"))
        os._exit(1)
    end = time.monotonic() + patience
    try:
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                first = Path(folder, "first")
                return "" if status == 0 else first.read_text() if first.exists() else "it ended"
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "never ended"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judged(module: str) -> tuple[list[Mutant], float]:
    """Every mutant of a module, with its end."""
    began, calls = time.monotonic(), Calls(module)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        code = run([f"tests/{name}" for name in MODULES[module]], [calls], f"{folder}/t")
    if code:
        sys.exit(f"{module}: its own tests fail: {calls.failed}")
    found = mutants(module)
    for mutant in found:
        tests = calls.of(mutant.path)
        patience = 20 + 10 * sum(calls.took[test] for test in tests)
        mutant.killed = noticed(mutant, tests, min(patience, 900)) if tests else ""
        calls.killers[mutant.killed] += 1
    return found, time.monotonic() - began


def in_a_process(module: str) -> int:
    """A module by itself: what one loads does not change another's. Its rows go to a file."""
    child = os.fork()
    if child == 0:
        try:
            found, seconds = judged(module)
            told(module, found, seconds)
            os._exit(int(share(found) < ENOUGH))
        except BaseException as error:
            os.write(2, f"{module}: {error!r}\n".encode())
            os._exit(3)
    return child


def share(found: list[Mutant]) -> float:
    return 1 - sum(each.alive for each in found) / max(len(found), 1)


def told(module: str, found: list[Mutant], seconds: float) -> None:
    killed = sum(bool(each.killed) for each in found)
    alike = sum(each.alike for each in found)
    part = f"{100 * killed / len(found):5.1f} % | {alike:3} alike | {seconds:5.0f} s"
    rows = [f"{module:42} | {len(found):4} | {killed:4} | {part}"]
    rows += [f"    line {each.line}: {each.place}: {each.change}" for each in found if each.alive]
    os.write(1, ("\n".join(rows) + "\n").encode())


def main() -> int:
    todo, under_way, worst = list(sys.argv[1:] or MODULES), set[int](), 0
    while todo or under_way:
        while todo and len(under_way) < JOBS:
            under_way.add(in_a_process(todo.pop(0)))
        child, status = os.wait()
        under_way.discard(child)
        worst = max(worst, os.waitstatus_to_exitcode(status))
    return worst


if __name__ == "__main__":
    sys.exit(main())
