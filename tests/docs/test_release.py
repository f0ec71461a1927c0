"""What makes a tag a release, and what the workflow may: with real tags and signatures, and the file as it is."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.kit.console import git
from tests.kit.docs import CHECKOUT

WORKFLOW = CHECKOUT / ".github" / "workflows" / "release.yml"
TAG = CHECKOUT / "tools" / "tag"
VERSION = "1.2.3"


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository whose default branch lists ada, with a commit that is ready for version 1.2.3."""
    folder = tmp_path / "clone"
    (folder / ".github").mkdir(parents=True)
    (folder / "gitops").mkdir()
    public = key(tmp_path, "ada").with_suffix(".pub").read_text()
    key(tmp_path, "eve")
    (folder / ".github" / "release-signers").write_text(f'ada@example.org namespaces="git" {public}')
    (folder / "pyproject.toml").write_text(f'version = "{VERSION}"\n')
    (folder / "gitops" / "__init__.py").write_text(f'__version__ = "{VERSION}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION}, 2026-12-24\n")
    git(tmp_path, "init", "-q", "-b", "main", "clone")
    for name, value in {"user.name": "Ada", "user.email": "ada@example.org", "gpg.format": "ssh"}.items():
        git(folder, "config", name, value)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "ready")


def tagged(folder: Path, *words: str, by: str = "ada", name: str = f"v{VERSION}") -> None:
    git(folder, "-c", f"user.signingkey={folder.parent / by}", "tag", *(words or ("-s", "-m", "release")), name)


def asked(folder: Path, name: str = f"v{VERSION}") -> subprocess.CompletedProcess[str]:
    return subprocess.run([TAG, name, "main"], cwd=folder, capture_output=True, text=True)


def test_a_tag_of_somebody_who_is_listed_is_a_release(clone: Path) -> None:
    tagged(clone)
    done = asked(clone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"v{VERSION}: {git(clone, 'rev-parse', 'HEAD')}"


def refusal(folder: Path) -> str:
    """Why the tag is no release."""
    done = asked(folder)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


def test_a_tag_of_a_stranger_is_none(clone: Path) -> None:
    tagged(clone, by="eve")
    assert "not signed by anybody" in refusal(clone)


def test_a_tag_that_brings_its_own_list_is_none(clone: Path) -> None:
    """The commit of the tag lists eve; the default branch does not."""
    git(clone, "checkout", "-q", "-b", "other")
    (clone / ".github" / "release-signers").write_text(f"eve {(clone.parent / 'eve.pub').read_text()}")
    commit(clone)
    tagged(clone, by="eve")
    assert "is not in main" in refusal(clone)
    git(clone, "checkout", "-q", "main")
    git(clone, "merge", "-q", "-s", "ours", "--no-edit", "other")
    assert "not signed by anybody" in refusal(clone)


@pytest.mark.parametrize("words", [("-a", "-m", "no signature"), ("--no-sign",)], ids=["unsigned", "lightweight"])
def test_a_tag_without_a_signature_is_none(clone: Path, words: tuple[str, ...]) -> None:
    tagged(clone, *words)
    assert asked(clone).returncode == 1


def test_a_tag_that_was_renamed_is_none(clone: Path) -> None:
    """A signature of another release, under a new name."""
    tagged(clone, name="v1.2.2")
    git(clone, "update-ref", f"refs/tags/v{VERSION}", "refs/tags/v1.2.2")
    assert "another name" in refusal(clone)


@pytest.mark.parametrize("place", ["pyproject.toml", "gitops/__init__.py", "CHANGELOG.md"])
def test_a_tag_of_a_commit_that_says_another_version_is_none(clone: Path, place: str) -> None:
    (clone / place).write_text((clone / place).read_text().replace(VERSION, "1.2.4"))
    commit(clone)
    tagged(clone)
    assert place in refusal(clone)


@pytest.mark.parametrize("name", ["1.2.3", "v1", "v1.2.3; touch x", "--help"])
def test_a_name_that_is_no_version_is_none(clone: Path, name: str) -> None:
    assert asked(clone, name).returncode == 1
    assert not (clone / "x").exists()


def test_the_workflow_names_actions_by_commit_and_gives_each_job_what_it_needs() -> None:
    text = WORKFLOW.read_text()
    said = yaml.safe_load(text)
    used = re.findall(r"uses: (\S+)( # v\d+\.\d+\.\d+)?$", text, re.M)
    assert len(used) == 5
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", name) and version for name, version in used)
    assert said["permissions"] == {} and said[True] == {"push": {"tags": ["v*"]}}
    rights = {name: job["permissions"] for name, job in said["jobs"].items()}
    assert rights["verify"] == rights["build"] == {"contents": "read"}
    assert said["jobs"]["build"]["needs"] == "verify" and said["jobs"]["publish"]["needs"] == "build"
    assert "secrets." not in text and not any("checkout" in str(step) for step in said["jobs"]["publish"]["steps"])
    checkouts = [step for job in said["jobs"].values() for step in job["steps"] if "checkout@" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert all(job["timeout-minutes"] for job in said["jobs"].values())


def test_no_script_of_the_workflow_holds_words_of_strangers_and_each_parses() -> None:
    scripts = [
        step["run"]
        for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert len(scripts) == 5
    for script in scripts:
        assert "${{" not in script
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_the_sbom_names_every_library_of_the_lock_and_is_the_same_twice() -> None:
    lock = CHECKOUT / "requirements.lock"
    command = [sys.executable, CHECKOUT / "tools" / "sbom.py", lock, VERSION]
    once, again = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert once == again
    named = {f"{each['name']}=={each['version']}" for each in json.loads(once)["components"]}
    assert named == {
        pin.partition("[")[0] + pin[pin.index("==") :] if "[" in pin else pin
        for pin in re.findall(r"^[a-z0-9.\[\],-]+==\S+", lock.read_text(), re.M)
    }
