"""What `lab check` shows while it runs: on a terminal, piped, with -q, and when Ctrl-C ends it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fix_cli import Lab
from fix_terminal import Terminal

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

CHECK = ("check", "published_threadlocal", "--promise", "replaces-stale", "--budget", "2", "--report", "none")


def test_on_a_terminal_it_shows_what_it_does(terminal: Terminal) -> None:
    lab = terminal(*CHECK)
    assert lab.status() == 1
    assert re.search(r"replaces-stale: \S", lab.seen), "the promise and moment that are run"
    assert re.search(r"published_threadlocal .* \d+/\d+ plans", lab.seen)
    assert re.search(r"\d+ s, about \d+ s left; 0 void", lab.seen)
    assert re.search(r"broken so far: .*replaces-stale \(\d+\)", lab.seen)
    last = lab.seen[lab.seen.rindex("evidence: ") :]
    assert "broken so far" not in last  # what moved has gone: below it stand the results alone
    assert "published_threadlocal: broken" in last


def test_piped_it_is_plain(lab_command: Lab) -> None:
    done = lab_command(*CHECK)
    assert done.returncode == 1
    assert not re.search(r"[\x1b\r\x07\x08]", done.stdout + done.stderr)
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"published_threadlocal: \d+ plans", lines[0])
    assert any(line.startswith("published_threadlocal: replaces-stale is broken (replaces-stale: ") for line in lines)
    assert "about" not in done.stderr
    assert lines[-1] == "evidence: store"


def test_quiet_prints_the_results_alone(lab_command: Lab) -> None:
    done = lab_command(*CHECK[:-2], "-q", "--report", "html,junit")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "replaces-stale" in done.stdout


def test_ctrl_c_says_what_is_there_and_where(terminal: Terminal, tmp_path: Path) -> None:
    lab = terminal("check", "published_threadlocal")
    lab.until("broken so far")
    lab.type("\x03")
    assert lab.status() == 130
    assert "Traceback" not in lab.seen
    said = lab.seen[lab.seen.index("stopped: ") :]
    found = re.search(
        r"stopped: published_threadlocal: (\d+) cases stored, \d+ further runs broke nothing: (\S+)", said
    )
    assert found
    cases = [each for each in (tmp_path / found[2] / "cases").iterdir() if not each.name.startswith(".")]
    assert len(cases) == int(found[1])
    assert cases
    assert re.search(r"broken so far, claimed or not: [a-z-]+ \(\d+\)", said)
    assert "as pages: lab report store" in said


@pytest.mark.nightly
def test_the_strips_of_its_cuts_are_stored_and_on_its_page(lab_command: Lab, tmp_path: Path) -> None:
    done = lab_command("check", "published_threadlocal", "--promise", "recovers", "--budget", "40", "-q")
    assert done.returncode == 1, done.stderr
    (folder,) = (tmp_path / "store/published_threadlocal").glob("2*")
    strips = json.loads((folder / "cuts.json").read_text())
    assert (strips["kind"], strips["variant"]) == ("cuts", "published_threadlocal")
    assert len(strips["points"]) == sum(len(letters) for letters in strips["strip"]["fin"].values())
    page = (tmp_path / "store/report/published_threadlocal" / folder.name / "index.html").read_text()
    assert "One request, cut before each of its messages" in page
    assert page.count('class="strip"') == 1
