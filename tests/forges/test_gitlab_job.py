"""GitLab's job, as its runner runs it: in a clone that it makes itself, with the variables that GitLab documents.

Sources: docs.gitlab.com, "CI/CD YAML syntax reference", "Predefined CI/CD variables reference", and the schema of
GitLab's editor; the runner's bash begins with `set -eo pipefail`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitops.source.new_fleet import TEMPLATE
from gitops.source.shipped.home import CHECKOUT
from tests.simulators.forge import Forge

FOLDER = CHECKOUT / TEMPLATE
TOWEROS = Path(sys.executable).with_name("toweros")
SAID: dict[str, Any] = yaml.safe_load((FOLDER / ".gitlab-ci.yml").read_text())
GLOBAL = {"default", "include", "stages", "variables", "workflow"}
DEFAULT = {
    "after_script", "artifacts", "before_script", "cache", "hooks", "id_tokens", "identity", "image", "interruptible",
    "retry", "services", "tags", "timeout",
}  # fmt: skip
JOB = DEFAULT | {
    "allow_failure", "coverage", "dast_configuration", "dependencies", "environment", "extends", "inherit",
    "manual_confirmation", "needs", "pages", "parallel", "release", "resource_group", "rules", "run", "script",
    "secrets", "stage", "trigger", "variables", "when",
}  # fmt: skip
RESERVED = {"image", "services", "stages", "before_script", "after_script", "variables", "cache", "include", "pages"}
ARTIFACTS = {"paths", "exclude", "expose_as", "name", "untracked", "when", "access", "expire_in", "reports", "public"}
JOBS = {name: job for name, job in SAID.items() if name not in GLOBAL}
SECRET = "glcbt-64-not-for-you"
EVE = ("-c", "user.name=Eve", "-c", "user.email=eve@example.org")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def holds(condition: str, given: Mapping[str, str]) -> bool:
    """`rules:if`, as far as it is used here: two sides that are variables or strings, with `==`."""
    left, right = (side.strip() for side in condition.split("=="))
    sides = [given.get(each[1:], "") if each.startswith("$") else each.strip('"') for each in (left, right)]
    return sides[0] == sides[1]


def runs(given: Mapping[str, str]) -> set[str]:
    """The jobs of a pipeline with these variables; none: there is no pipeline."""

    def taken(rules: list[dict[str, str]] | None) -> bool:
        return rules is None or any(holds(rule["if"], given) for rule in rules)

    return (
        {name for name, job in JOBS.items() if taken(job.get("rules"))} if taken(SAID["workflow"]["rules"]) else set()
    )


@dataclass
class Runner:
    """One machine that runs jobs of merge requests of one project."""

    folder: Path
    fleet: Path = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = self.folder / "group/fleet"
        subprocess.run([TOWEROS, "init", self.fleet], check=True, capture_output=True)
        (self.folder / "tmp/toweros/bin").mkdir(parents=True)
        (self.folder / "tmp/toweros/bin/toweros").symlink_to(TOWEROS)

    def request(self, files: Mapping[str, str], links: Mapping[str, str] = {}) -> dict[str, str]:
        """A merge request with these files; what GitLab says of it (the pipeline is one of the branch alone)."""
        base = git(self.fleet, "rev-parse", "main")
        git(self.fleet, "checkout", "-q", "-B", "topic", base)
        for path, text in files.items():
            (self.fleet / path).parent.mkdir(parents=True, exist_ok=True)
            (self.fleet / path).write_text(text)
        for path, target in links.items():
            (self.fleet / path).symlink_to(target)
        git(self.fleet, "add", "--all", "--force")
        git(self.fleet, *EVE, "commit", "-qm", "change")
        head = git(self.fleet, "rev-parse", "HEAD")
        git(self.fleet, "update-ref", "refs/pipelines/64", head)
        git(self.fleet, "update-ref", "refs/merge-requests/7/head", head)
        git(self.fleet, "checkout", "-q", "main")
        return {
            **{"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_JOB_TOKEN": SECRET},
            **{"CI_REPOSITORY_URL": f"https://gitlab-ci-token:{SECRET}@git.example/group/fleet.git"},
            **{"CI_COMMIT_SHA": head, "CI_COMMIT_REF_NAME": "topic", "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_ID": "5"},
            **{"CI_PROJECT_DIR": str(self.folder / "builds/group/fleet"), "CI_MERGE_REQUEST_IID": "7"},
            **{"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": ""},
            **{"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic"},
        }

    def run(self, name: str, given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A job in a clone of its own; only what would be installed is there already."""
        place, job = Path(given["CI_PROJECT_DIR"]), JOBS[name]
        subprocess.run(["rm", "-rf", place], check=True)
        place.mkdir(parents=True)
        depth = job.get("variables", {}).get("GIT_DEPTH", "20")
        git(place, "init", "-q")
        git(place, "remote", "add", "origin", f"file://{self.fleet}")
        shallow = [] if depth == "0" else ["--depth", depth]
        git(place, "fetch", "-q", *shallow, "origin", "+refs/pipelines/64:refs/pipelines/64")
        git(place, "checkout", "-q", "-f", given["CI_COMMIT_SHA"])
        lines = [
            line for line in SAID["default"]["before_script"] if " venv " not in line and "pip install" not in line
        ]
        script = "\n".join(["set -eo pipefail", *lines, *job["script"]]).replace("/tmp", str(self.folder / "tmp"))
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), **given}
        return subprocess.run(["bash"], input=script, env=kept, cwd=place, capture_output=True, text=True)

    def said(self, given: Mapping[str, str]) -> str:
        return Path(given["CI_PROJECT_DIR"], "plan.md").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def motd(runner: Runner) -> dict[str, str]:
    box = (runner.fleet / "boxes/demo-1.yaml").read_text()
    return {"boxes/demo-1.yaml": f'{box}files:\n  - {{path: /etc/motd, contents: "x\\n"}}\n'}


def test_the_file_has_the_keywords_of_gitlab_alone() -> None:
    """A word that GitLab does not know is an invalid pipeline: nothing runs, and nobody is told but the author."""
    assert {*SAID["workflow"]} <= {"name", "rules", "auto_cancel"} and {*SAID["default"]} <= DEFAULT
    assert JOBS and not JOBS.keys() & RESERVED
    for job in JOBS.values():
        assert (
            {*job} <= JOB and isinstance(job["script"], list) and all(isinstance(line, str) for line in job["script"])
        )
        assert {*job.get("artifacts", {})} <= ARTIFACTS
        assert all(isinstance(value, str) for value in job.get("variables", {}).values()), "YAML's numbers are none"
        assert all({*rule} == {"if"} for rule in job.get("rules", []))
    assert re.fullmatch(r"\d+ days", JOBS["plan"]["artifacts"]["expire_in"])
    for rule in (*SAID["workflow"]["rules"], *JOBS["plan"]["rules"]):
        assert re.fullmatch(r'\$[A-Z_]+ == ("\w+"|\$[A-Z_]+)', rule["if"])


def test_each_pipeline_has_its_jobs() -> None:
    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_DEFAULT_BRANCH": "main"}
    push = {"CI_PIPELINE_SOURCE": "push", "CI_DEFAULT_BRANCH": "main"}
    assert runs(request) == {"validate", "plan"}
    assert runs({**push, "CI_COMMIT_BRANCH": "main"}) == {"validate"}
    assert runs({**push, "CI_COMMIT_BRANCH": "topic"}) == set(), "its merge request has one"


def test_a_merge_request_is_validated_and_planned(runner: Runner) -> None:
    given = runner.request(motd(runner))
    for name in ("validate", "plan"):
        done = runner.run(name, given)
        assert done.returncode == 0, done.stderr
    assert "1 box to update" in done.stdout and "/etc/motd changed" in done.stdout
    assert runner.said(given) == done.stdout, "the artifact is what the log shows"


def test_of_merged_results_the_target_branch_is_the_base(runner: Runner) -> None:
    """What others merged since is none of this merge request's."""
    given = runner.request(motd(runner))
    role = runner.fleet / "roles/vm.yaml"
    role.write_text(role.read_text() + "poll: 77\n")
    git(runner.fleet, *EVE, "commit", "-qam", "others")
    target = git(runner.fleet, "rev-parse", "main")
    git(runner.fleet, *EVE, "merge", "-q", "--no-ff", "-m", "merged", "topic")
    merged = git(runner.fleet, "rev-parse", "HEAD")
    git(runner.fleet, "update-ref", "refs/pipelines/64", merged)
    given |= {"CI_COMMIT_SHA": merged, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": target}
    done = runner.run("plan", given)
    assert done.returncode == 0, done.stderr
    assert "/etc/motd changed" in runner.said(given) and "poll" not in runner.said(given)


def test_mistakes_fail_both_jobs_with_file_and_line(runner: Runner) -> None:
    given = runner.request({"boxes/demo-1.yaml": "role: vm\nzoo: 1\n"})
    for name in ("validate", "plan"):
        done = runner.run(name, given)
        assert done.returncode != 0 and "boxes/demo-1.yaml:2:1" in done.stdout + done.stderr, name


STEAL = "#!/bin/sh\necho stolen >$HOME/stolen\n"
PYTHON = "import os, pathlib\npathlib.Path(os.environ['HOME'], 'stolen').write_text('x')\n"
HOSTILE = {
    "toweros.toml": "state = \"evil\"\nno_such_key = 1\n",
    "ci/comment": STEAL, "setup.py": PYTHON, "conftest.py": PYTHON,
    **{f"{name}.py": PYTHON for name in ("venv", "sitecustomize", "usercustomize", "json", "yaml", "typer", "pip")},
    "gitops/__init__.py": PYTHON, "bin/git": STEAL, ".githooks/post-checkout": STEAL, "hooks/post-checkout": STEAL,
    ".gitconfig": "[core]\n\thooksPath = .githooks\n[filter \"evil\"]\n\tclean = echo stolen >$HOME/stolen\n",
    ".gitattributes": "*.yaml filter=evil diff=evil export-subst ident eol=crlf\n", ".lfsconfig": "[lfs]\n",
    ".gitlab-ci.yml": "plan: {script: ['echo stolen >$HOME/stolen']}\n", ".env": "TOWEROS=evil\n",
}  # fmt: skip


def test_nothing_that_a_merge_request_brings_is_run_or_read_as_settings(runner: Runner) -> None:
    """But its pipeline, which is GitLab's own rule: so the job has no token to lose, and says none of GitLab's."""
    outside = runner.folder / "builds/precious"
    outside.parent.mkdir()
    outside.write_text("mine")
    (runner.folder / "home").mkdir()
    given = runner.request({**motd(runner), **HOSTILE}, {"plan.md": "../../precious"})
    for name in ("validate", "plan"):
        done = runner.run(name, given)
        assert not (runner.folder / "home/stolen").exists(), name
        assert SECRET not in done.stdout + done.stderr
        assert "no_such_key" not in done.stderr, "another's settings"
    assert outside.read_text() == "mine"
    # the link is no file that a fleet repo may hold: that is what both jobs say
    assert "plan.md" in done.stderr
    (runner.fleet / "plan.md").unlink(missing_ok=True)
    given = runner.request({**motd(runner), **HOSTILE})
    done = runner.run("plan", given)
    assert done.returncode == 0, done.stderr
    assert "/etc/motd changed" in runner.said(given) and SECRET not in runner.said(given)
    assert not (runner.folder / "home/stolen").exists()
    words = ("TOKEN", "CI_REPOSITORY_URL", "secrets", "id_tokens", "SSH")
    assert not any(word in (FOLDER / ".gitlab-ci.yml").read_text() for word in words)


def test_the_comment_of_another_project_is_made_as_the_page_says(runner: Runner, hub: Forge) -> None:
    """Its own files and its own token; of the merge request it has Git's objects."""
    given = runner.request({**motd(runner), **HOSTILE})
    page = (CHECKOUT / "docs/review.md").read_text()
    (script,) = re.findall(r"```\n(git clone -q \"\$FLEET\".*?)```", page, re.S)
    trusted = runner.folder / "trusted"
    (trusted / "ci").mkdir(parents=True)
    (trusted / "ci/comment").write_bytes((FOLDER / "ci/comment").read_bytes())
    (trusted / "ci/comment").chmod(0o755)
    (runner.folder / "home").mkdir()
    words = {"FLEET": f"file://{runner.fleet}", "PROJECT": "5", "MERGE": given["CI_MERGE_REQUEST_IID"], "NO_PROXY": "*"}
    words |= {"CI_API_V4_URL": hub.url, "CI_PROJECT_ID": "99", "TOWEROS_COMMENT_TOKEN": "secret-token"}
    path = f"{TOWEROS.parent}:{os.environ['PATH']}"
    kept = {"PATH": path, "HOME": str(runner.folder / "home"), "TOWEROS_STATE": str(runner.folder / "none"), **words}
    done = subprocess.run(
        ["bash"], input=f"set -eo pipefail\n{script}", env=kept, cwd=trusted, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (comment,) = hub.ours(7)
    assert "/etc/motd changed" in comment and "secret-token" not in comment + done.stdout + done.stderr
    assert not (runner.folder / "home/stolen").exists()
