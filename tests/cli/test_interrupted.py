"""Ctrl-C is told by every verb, at whatever moment, with the code of shells and with what is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitops.cli.main import verbs
from gitops.cli.showing.left import LEFT, left

START = "from gitops.cli.main import main; main()"
TOOL = "#!/bin/sh\ntouch {began}\nexec sleep 600\n"


def interrupted(words: list[str], began: Path, **environment: str) -> tuple[int, str]:
    """A verb that hangs in a program of ours until somebody types Ctrl-C."""
    # A shell that runs the tests in its background has them ignore this signal.
    child = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", START, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip
    while not began.exists():
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate()
    return child.returncode, said


@pytest.mark.parametrize(
    ("words", "tells"),
    [(("doctor",), ""), (("build", "pkg/x"), "left: packages that were done are in the store")],
    ids=["nothing-is-left", "something-is"],
)
def test_a_verb_says_that_it_was_interrupted_and_what_it_left(
    tmp_path: Path, words: tuple[str, ...], tells: str
) -> None:
    """Both ask a program: the one for its version, the other in a fleet repo that git is asked about."""
    began = tmp_path / "began"
    for name in ("git", "buildah"):
        (tmp_path / name).write_text(TOOL.format(began=began))
        (tmp_path / name).chmod(0o755)
    place = ["--state", str(tmp_path / "state")]
    if words[0] == "build":
        for file, text in (
            ("fleet.yaml", ""),
            ("pkg/x/build.yml", "image: x\n"),
            ("pkg/x/Dockerfile", "FROM scratch\n"),
        ):
            (tmp_path / "fleet" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fleet" / file).write_text(text)
        place += ["-C", str(tmp_path / "fleet")]
    code, said = interrupted([*words, *place], began, PATH=f"{tmp_path}:/usr/bin:/bin", COLUMNS="200")
    assert code == 130 and "Traceback" not in said
    assert said.startswith("interrupted") if not tells else f"interrupted\n{tells}" in said, said


def test_while_modules_load_it_is_told_as_well(tmp_path: Path) -> None:
    """A module that is loaded on the way hangs: typer, in the place of which another one is found first."""
    began = tmp_path / "began"
    (tmp_path / "typer.py").write_text(f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\ntime.sleep(600)\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    assert interrupted(["status"], began, PYTHONPATH=path) == (130, "interrupted\n")


def test_what_is_left_is_said_of_verbs_that_there_are() -> None:
    assert {verb.split()[0] for verb in LEFT} <= {*verbs()}
    assert left(["box", "image", "demo-1"]) == left(["image", "--role", "vm"]) != left(["image", "import", "x"])
    assert left(["status", "-w"]) == left([]) == ""
