"""Where somebody commits to a fleet repo by the command line: a folder of it, and the store of its controller."""

from pathlib import Path

from typer.testing import Result

from gitops.errors import TowerosError
from gitops.store import Store
from tests.kit.console import git, toweros
from tests.kit.site import FILES


class FleetDesk:
    """A fleet of three boxes, committed by ada."""

    def __init__(self, folder: Path) -> None:
        self.repo, self.store = folder / "fleet", Store.open(folder / "state")
        for path, text in FILES.items():
            (self.repo / path).parent.mkdir(parents=True, exist_ok=True)
            (self.repo / path).write_text(text)
        git(self.repo, "init", "-q", "-b", "main")
        git(self.repo, "config", "user.name", "ada")
        git(self.repo, "config", "user.email", "ada@example.org")
        self.commit()

    def commit(self) -> None:
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-q", "-m", "change")

    def run(self, *words: str, typed: str = "") -> Result:
        return toweros(*words, "-C", str(self.repo), "--state", str(self.store.paths.root), typed=typed)

    def refused(self, *words: str, typed: str = "") -> str:
        """Why; nothing in the folder is another than before."""
        before = git(self.repo, "rev-parse", "HEAD"), git(self.repo, "status", "--porcelain")
        result = self.run(*words, typed=typed)
        assert result.exit_code == 1 and isinstance(result.exception, TowerosError), result.output
        assert before == (git(self.repo, "rev-parse", "HEAD"), git(self.repo, "status", "--porcelain"))
        return f"{result.exception.message} ({result.exception.hint})"
