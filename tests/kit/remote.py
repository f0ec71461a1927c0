"""A fleet repo to follow: a real bare repository, and a working folder that pushes to it."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class Remote:
    """A bare repository and a working folder that pushes to it, driven by the real git."""

    def __init__(self, folder: Path, like: "Remote | None" = None) -> None:
        self._place(folder)
        other = like or _empty()
        for mine, theirs in ((self.bare, other.bare), (self.work, other.work)):
            shutil.copytree(theirs, mine, symlinks=True)
        config = self.work / ".git" / "config"
        config.write_text(config.read_text().replace(str(other.bare), str(self.bare)))

    def _place(self, folder: Path) -> None:
        self.bare, self.work = folder / "remote.git", folder / "work"
        self.env = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}

    @classmethod
    def begin(cls, folder: Path) -> "Remote":
        """By git itself; all others are copies."""
        made = cls.__new__(cls)
        made._place(folder)
        made._begin(folder)
        return made

    def _begin(self, folder: Path) -> None:
        self.git("init", "-q", "--template=", "--bare", "-b", "main", str(self.bare), cwd=folder)
        self.git("init", "-q", "--template=", "-b", "main", str(self.work), cwd=folder)
        for key, value in {"user.name": "Ada", "user.email": "ada@example.org", "gpg.format": "ssh"}.items():
            self.git("config", key, value)
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *words: str, cwd: Path | None = None, stdin: str = "") -> str:
        folder = cwd or self.work
        done = subprocess.run(["git", *words], cwd=folder, env=self.env, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, text: str, *options: str, path: str = "README.md", push: bool = True) -> str:
        place = self.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"say {text[:20]}".strip(), *options)
        if push:
            self.git("push", "-q", "-f", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")


def scratch() -> Path:
    """A folder for what is made once per test process."""
    folder = Path(tempfile.mkdtemp(prefix="toweros-once-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _empty() -> Remote:
    return Remote.begin(scratch())
