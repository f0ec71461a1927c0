"""What docs/keys.md has people type to rehearse with SoftHSM is typed here, line by line, by a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.sign import Signer, keys
from tests.kit.docs import DOCS, blocks
from tests.kit.pe import a_pe_file


def rehearsal() -> list[str]:
    _, _, after = (DOCS / "keys.md").read_text().partition("## Keys in tokens")
    lines = [line for _, line in blocks(re.split(r"^## ", after, maxsplit=1, flags=re.M)[0])]
    return lines[next(number for number, line in enumerate(lines) if line.startswith("export SOFTHSM2_CONF")) :]


def test_the_rehearsal_of_the_documents_gives_a_folder_that_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "toweros"
    words = "import sys; from gitops.cli.main import main; sys.exit(main())"
    command.write_text(f"#!{sys.executable}\n{words}\n")
    command.chmod(0o755)
    folder = tmp_path / "empty"
    folder.mkdir()
    root = str(Path(__file__).parents[3])
    environment = {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": root, "HOME": str(tmp_path)}
    script = "\n".join(rehearsal())
    done = subprocess.run(["bash", "-eu"], input=script, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("in a token") == 2 and not [*folder.glob("*.pem")]
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    signer = Signer.open(folder / "keys")
    assert signer.verify_boot(signer.sign_boot(a_pe_file()))
    assert keys.load_online(folder / "keys")["targets"].sign(b"data").signature
