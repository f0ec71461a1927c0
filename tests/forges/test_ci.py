"""What the template repo brings for forges: CI files that run, one comment without a controller, editor schemas."""

import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from gitops.source.new_fleet import TEMPLATE
from gitops.source.shipped.home import CHECKOUT
from tests.simulators.forge import REPOSITORY, Fault, Forge

FOLDER = CHECKOUT / TEMPLATE
COMMENT = FOLDER / "ci" / "comment"
TOWEROS = Path(sys.executable).with_name("toweros")


def comment(tmp_path: Path, text: str, **env: str) -> subprocess.CompletedProcess[str]:
    plan = tmp_path / "plan.md"
    plan.write_text(text)
    kept = {"PATH": os.environ["PATH"], "NO_PROXY": "*"}
    return subprocess.run([sys.executable, COMMENT, plan], env=kept | env, capture_output=True, text=True)


def github(hub: Forge) -> dict[str, str]:
    words = {"GITHUB_API_URL": hub.url, "GITHUB_REPOSITORY": REPOSITORY, "PULL": "7", "COMMENT_AS": "toweros-bot"}
    return {**words, "TOKEN": "secret-token"}


def gitlab(hub: Forge) -> dict[str, str]:
    words = {"CI_API_V4_URL": hub.url, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "7"}
    return {**words, "TOWEROS_COMMENT_TOKEN": "secret-token"}


@pytest.mark.parametrize("where", [github, gitlab])
def test_ci_keeps_one_comment_too(tmp_path: Path, hub: Forge, where) -> None:  # type: ignore[no-untyped-def]
    for number in range(120):
        hub.say(7, "eve", f"<!-- toweros:plan -->\nmine {number}")
    for text in ("one", "two"):
        done = comment(tmp_path, f"<!-- toweros:plan -->\n{text}\n", **where(hub))
        assert done.returncode == 0, done.stderr
    assert hub.ours(7) == ["<!-- toweros:plan -->\ntwo\n"]


def test_ci_without_a_token_says_so_and_passes(tmp_path: Path, hub: Forge) -> None:
    done = comment(tmp_path, "<!-- toweros:plan -->\n", CI_API_V4_URL=hub.url)
    assert done.returncode == 0 and "no token" in done.stdout and hub.requests == []


def test_ci_comments_only_what_is_a_plan_and_fails_when_the_forge_does(tmp_path: Path, hub: Forge) -> None:
    assert comment(tmp_path, "<script>", **github(hub)).returncode != 0
    hub.faults.append(Fault(500))
    done = comment(tmp_path, "<!-- toweros:plan -->\n", **github(hub))
    assert done.returncode != 0 and "secret-token" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", [".github/workflows/validate.yml", ".github/workflows/plan.yml", ".gitlab-ci.yml"])
def test_ci_files_are_yaml_and_their_scripts_parse(name: str) -> None:
    said = yaml.safe_load((FOLDER / name).read_text())
    steps = [step["run"] for job in said.get("jobs", {}).values() for step in job["steps"]]
    steps += ["\n".join(job["script"]) for job in said.values() if isinstance(job, dict) and "script" in job]
    assert steps
    for script in steps:
        assert "${{" not in script, "words of strangers go through the environment, never into a script"
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_the_job_with_a_token_never_checks_out_the_head() -> None:
    text = (FOLDER / ".github" / "workflows" / "plan.yml").read_text()
    assert "pull_request_target" in text and "uses:" not in text
    assert re.findall(r"checkout -q (\S+)", text) == ['"$BASE"']


def test_no_job_of_a_merge_request_has_a_token_or_runs_what_it_brings() -> None:
    """GitLab takes the pipeline and all scripts from the merge request itself."""
    text = (FOLDER / ".gitlab-ci.yml").read_text()
    jobs = [job for job in yaml.safe_load(text).values() if isinstance(job, dict) and "script" in job]
    lines = [line for job in jobs for line in job["script"]]
    assert jobs and "TOKEN" not in text and "secrets" not in text
    ours = ("/tmp/toweros/bin/toweros ", 'base="', 'rm -rf "$CI_PROJECT_DIR/plan.md"')
    assert all(line.startswith(ours) for line in lines), lines


def test_a_redirect_does_not_take_the_token_along(tmp_path: Path, hub: Forge) -> None:
    given: list[str] = []

    class Away(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(self.path)
            self.send_response(302)
            self.send_header("Location", hub.url + self.path)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        words = gitlab(hub) | {"CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}"}
        done = comment(tmp_path, "<!-- toweros:plan -->\n", **words)
        server.shutdown()
    assert done.returncode != 0 and given == ["/user"] and hub.requests == []


def test_the_workflow_plans_a_pull_request_with_nothing_but_git(tmp_path: Path, hub: Forge) -> None:
    remote = pull_request(tmp_path)
    steps = yaml.safe_load((FOLDER / ".github" / "workflows" / "plan.yml").read_text())["jobs"]["plan"]["steps"]
    script = "\n".join(step["run"] for step in steps)
    script = re.sub(r"(?m)^python3 -m venv .*$|^.*pip\" install.*$", "", script)
    (tmp_path / "toweros" / "bin").mkdir(parents=True)
    (tmp_path / "toweros" / "bin" / "toweros").symlink_to(TOWEROS)
    env = {
        **github(hub),
        **{"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path), "NO_PROXY": "*"},
        **{
            "GITHUB_SERVER_URL": str(tmp_path),
            "GITHUB_REPOSITORY": REPOSITORY,
            "TOWEROS_STATE": str(tmp_path / "none"),
        },
        **{"BASE": git(remote, "rev-parse", "main"), "HEAD": git(remote, "rev-parse", "topic")},
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    done = subprocess.run(["bash", "-e"], input=script, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 box to update" in hub.ours(7)[0] and "/etc/motd changed" in hub.ours(7)[0]


def pull_request(tmp_path: Path) -> Path:
    """A fleet repo as a forge keeps it, with one pull request to its main branch."""
    remote = tmp_path / REPOSITORY
    subprocess.run([TOWEROS, "init", remote], check=True, capture_output=True)
    git(remote, "checkout", "-q", "-b", "topic")
    box = remote / "boxes" / "demo-1.yaml"
    box.write_text(box.read_text() + 'files:\n  - {path: /etc/motd, contents: "x\\n"}\n')
    git(remote, "-c", "user.name=Eve", "-c", "user.email=eve@example.org", "commit", "-qam", "motd")
    git(remote, "update-ref", "refs/pull/7/head", "topic")
    git(remote, "checkout", "-q", "main")
    return remote


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_every_yaml_of_the_template_is_wired_to_its_schema() -> None:
    for pattern, kind in (("fleet.yaml", "fleet"), ("roles/*.yaml", "role"), ("boxes/*.yaml", "box")):
        for path in FOLDER.glob(pattern):
            up = "../" * (len(path.relative_to(FOLDER).parts) - 1)
            assert path.read_text().startswith(f"# yaml-language-server: $schema={up}.toweros/{kind}.schema.json\n")


def test_codeowners_name_nobody_until_somebody_is_named() -> None:
    lines = (FOLDER / "CODEOWNERS").read_text().splitlines()
    assert lines and all(line.startswith("#") for line in lines)
