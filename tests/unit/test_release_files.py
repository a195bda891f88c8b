"""What is only run elsewhere (action, workflows, image, news): read and linted here, and its shell run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^(\./|[\w.-]+/[\w./-]+@(v\d+(\.\d+)*|release/v\d+))$")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def action() -> Any:
    return _read(ROOT / "action.yml")


def _steps(document: Any) -> list[dict[str, Any]]:
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    return [step for job in jobs for step in job["steps"]]


def test_the_action_is_composite_and_whole(action: Any) -> None:
    assert action["runs"]["using"] == "composite"
    assert all("shell" in step for step in _steps(action) if "run" in step)
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.(\w+)", text)) == set(action["inputs"])
    ids = {step["id"] for step in _steps(action) if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.", text)) <= ids
    # An input must reach a shell by the environment: in the script itself it would be run as code.
    assert not [step["run"] for step in _steps(action) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("path", [ROOT / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_every_step_is_pinned_to_a_version(path: Path) -> None:
    used = [step["uses"] for step in _steps(_read(path)) if "uses" in step]
    assert used
    assert not [name for name in used if not PINNED.match(name)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_unless_a_job_says_more(path: Path) -> None:
    document = _read(path)
    assert document["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in document["jobs"].values())


def test_the_guide_uses_the_action_in_ten_lines(action: Any) -> None:
    guide = (ROOT / "docs" / "how-to" / "in-a-workflow.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert len(shown.strip().splitlines()) <= 11
    (step,) = [step for step in _steps(yaml.safe_load(shown)) if "connection-lab" in step["uses"]]
    assert set(step["with"]) <= set(action["inputs"])
    assert set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)) == set(action["inputs"])


def test_a_release_publishes_without_a_stored_token() -> None:
    jobs = _read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}
    assert jobs["pypi"]["needs"] == jobs["image"]["needs"] == "build"
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert re.findall(r"secrets\.(\w+)", text) == ["GITHUB_TOKEN"]


def _check_step(action: Any, tmp_path: Path, arguments: str, status: int) -> tuple[int, list[str], str]:
    """Run the action's own script with a `lab` that writes down what it is given."""
    (step,) = [step for step in _steps(action) if step.get("id") == "check"]
    lab = tmp_path / "lab"
    lab.write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >>"{tmp_path}/given"\nexit {status}\n')
    lab.chmod(0o755)
    output = tmp_path / "output"
    output.touch()
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(output), "LAB_ARGUMENTS": arguments}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], env=environ, cwd=tmp_path, check=False
    )
    return done.returncode, (tmp_path / "given").read_text().splitlines(), output.read_text()


@pytest.mark.parametrize("status", [0, 1, 2, 254])
def test_the_action_ends_as_the_check_does(action: Any, tmp_path: Path, status: int) -> None:
    code, given, output = _check_step(action, tmp_path, "--settings a.b --budget 20", status)
    assert (code, output) == (status, f"status={status}\n")
    assert given == ["check", "--settings", "a.b", "--budget", "20", "--report", "html,junit,github"]


def test_the_action_executes_nothing_of_its_arguments(action: Any, tmp_path: Path) -> None:
    _, given, _ = _check_step(action, tmp_path, "x --option 'pool={\"max_size\": 4}' $(touch bad) ; touch worse", 0)
    assert given[1:4] == ["x", "--option", 'pool={"max_size": 4}']
    assert not (tmp_path / "bad").exists()
    assert not (tmp_path / "worse").exists()


def test_the_image_copies_what_is_let_in() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names <= allowed
    assert all((ROOT / name).exists() for name in names)


def test_the_image_has_every_package_of_the_wheel() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name for name in found if "." not in name}
    copied = re.findall(r"^COPY (\w+) (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {(name, name) for name in packages} == set(copied)


def _hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "hadolint")
    return subprocess.run([program, "-"], input=dockerfile, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    text = (ROOT / "Dockerfile").read_text()
    done = _hadolint(text)
    assert (done.returncode, done.stdout) == (0, "")
    assert "DL3002" in _hadolint(text.replace("USER 1000", "USER root")).stdout


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built with Go in the version that CI's own step names; skipped where that cannot be done."""
    wanted = re.search(r"go run (\S+actionlint@\S+)", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert wanted
    go, place = shutil.which("go"), tmp_path_factory.mktemp("go")
    if go is None:
        pytest.skip("no Go to build actionlint with; CI's workflow runs it as a step of its own")
    try:
        subprocess.run([go, "install", wanted[1]], env={**os.environ, "GOBIN": str(place)}, timeout=120, check=True)
    except subprocess.SubprocessError as error:
        pytest.skip(f"actionlint could not be built: {error}")
    return place / "actionlint"


@pytest.mark.slow
@pytest.mark.nightly  # a build of a quarter of a minute; CI's workflow has it as a step
def test_actionlint_has_nothing_to_say_of_the_workflows(actionlint: Path, tmp_path: Path) -> None:
    done = subprocess.run([actionlint, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    bad = tmp_path / "bad.yml"
    bad.write_text(WORKFLOWS[0].read_text().replace("matrix.python", "matrix.pithon"))
    assert "pithon" in subprocess.run([actionlint, bad], capture_output=True, text=True, check=False).stdout


# -- news -------------------------------------------------------------------------------------------------------------


def test_each_news_file_is_of_a_kind() -> None:
    kinds = [
        each["directory"] for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
    ]
    name = re.compile(rf"(\+[a-z0-9-]+|\d+)\.({'|'.join(kinds)})\.md")
    strange = [
        path.name for path in (ROOT / "changes").iterdir() if path.name != "README.md" and not name.fullmatch(path.name)
    ]
    assert not strange, "see changes/README.md"


@pytest.mark.slow
def test_the_news_become_a_section_of_the_changelog() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "99.0.0", "--date", "2030-01-01"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## 99.0.0 - 2030-01-01" in done.stdout
    for path in (ROOT / "changes").glob("+*.md"):
        assert path.read_text().split("\n")[0] in done.stdout
    assert "<!-- towncrier release notes start -->" in (ROOT / "CHANGELOG.md").read_text()
