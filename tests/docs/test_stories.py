"""Who follows the quickstart line by line arrives; so does who reads on in the pages on review and policy.

The lines are the documents' own, run by a shell in one story: only the folders are others, and what needs a machine, a
builder or a mirror is left out by name.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.store import Store
from tests.kit.docs import CHECKOUT, DOCS, blocks

NOT_HERE = ("tools/install", "export PATH", "toweros run", "toweros vm", "toweros box ssh", "ctr ", "  ctr ")
"""What starts a controller, a machine or a session on one, and what this checkout has done already."""
TYPED = "\n\nfor tests only\nfor tests only\n"
"""ssh-keygen asks twice for the passphrase of the person's key, toweros for that of the root keys."""
FOLDERS = {"/srv/fleet": "fleet", "/etc/toweros/keys": "keys", "/var/lib/toweros": "state"}


class Reader:
    """Somebody at a shell with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True)  # ssh-keygen makes the one of the account's own home alone
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {
            "HOME": str(home), "PATH": path, "PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1", "COLUMNS": "200",
            "TOWEROS_CONFIG": str(folder / "toweros.toml"),
            "XDG_CACHE_HOME": os.devnull,  # `validate` has no room for a compose that a mirror would have
        }  # fmt: skip

    def at(self, text: str) -> str:
        """The same text, about folders of this test."""
        for place, name in FOLDERS.items():
            text = text.replace(place, str(self.folder / name))
        return text

    def types(self, lines: str, where: str = ".", stdin: str = "") -> str:
        """Run lines in one shell, which stops at the first failure; what they said."""
        done = subprocess.run(
            ["sh", "-eu", "-c", self.at(lines)], cwd=self.folder / where, env=self.environment, input=stdin,
            capture_output=True, text=True, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def section(page: str, title: str) -> list[str]:
    """The lines in the code blocks of one section, without those that need more than this test has."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"{page} has no section {title}"
    return [line for _, line in blocks(found[1]) if not line.startswith(NOT_HERE)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One who has done the first three sections of the quickstart."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    assert section("quickstart.md", "1. Install") == []
    said = reader.types("\n".join(section("quickstart.md", "2. A fleet repository and keys")), stdin=TYPED)
    assert "no mistakes" in said
    settings = section("quickstart.md", "3. The controller")
    (reader.folder / "toweros.toml").write_text(reader.at("\n".join(settings)))
    Store.open(reader.folder / "state", migrate=True).close()  # the first thing that `toweros run` does
    return reader


def test_the_quickstart_is_followed_to_its_end(reader: Reader) -> None:
    said = reader.types("\n".join(section("quickstart.md", "5. A change")))
    assert "demo-1" in said
    reader.types("\n".join(section("quickstart.md", "6. The network in the box")))
    assert "nitb-1" in reader.types("toweros validate /srv/fleet && toweros plan")


def test_the_plans_of_the_review_page_are_made(reader: Reader) -> None:
    """A clone with a branch, a release tag and uncommitted work, as whoever reviews has it."""
    reader.types(
        "git clone -q /srv/fleet clone && cd clone && git tag v1.3.0 && git checkout -q -b topic\n"
        "echo 'motd of the topic' > pkg/hello/www/index.html && git commit -qam topic && git checkout -q main\n"
        "echo 'not committed' > pkg/hello/www/index.html"
    )
    lines = [line for line in section("review.md", "`toweros plan`") if "--build" not in line]
    assert len(lines) == 6
    for line in lines[1:4]:
        assert "pkg/hello" in reader.types(line, "clone") or "v1.3.0" in line
    for form in ("table", "json", "yaml", "markdown"):
        said = reader.types(re.sub(r"table\S*", form, lines[4]), "clone")
        assert said.startswith({"json": "{", "markdown": "<!--"}.get(form, "")), said[:80]
    assert "--detailed-exitcode" in lines[5]
    assert reader.types(lines[5].partition("#")[0] + "|| [ $? = 2 ]", "clone")


def test_signatures_are_turned_on_as_the_policy_page_says(reader: Reader) -> None:
    reader.types(
        "git clone -q --bare /srv/fleet remote.git && git clone -q remote.git signed && cd signed\n"
        "git tag v1.1.0 && echo 'a mistake' > pkg/hello/www/index.html && git commit -qam 'A mistake'"
    )
    reader.types("\n".join(section("policy.md", "Turn it on")), "signed")
    said = reader.types("toweros validate && toweros plan -C .", "signed")
    assert "no mistakes" in said
    assert "sign" in reader.types("toweros plan -C . --base HEAD~1 --head HEAD", "signed")
    lines = [line for line in section("policy.md", "Hold and go back") if line.startswith("toweros rollback")]
    reader.types("\n".join(lines), "signed")
    assert "a mistake" not in reader.types("git show origin/main:pkg/hello/www/index.html", "signed")
    assert "sign: head" in reader.types("git show origin/main:fleet.yaml", "signed")
    reader.types("git -c gpg.ssh.allowedSignersFile=keys/allowed_signers verify-commit origin/main", "signed")
