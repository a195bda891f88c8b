"""`lab demo`: every story is as it is told, on real servers; what is typed wrong is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_cli import Lab
from fix_terminal import OnTerminal, Terminal
from lab.check.story import run_story, stored_plan
from lab.check.tales import TALES, Tale
from lab.check.variants import rows
from lab.rig.base import BaseRig

NAMES = [each.name for each in TALES]


@pytest.mark.slow
@pytest.mark.parametrize("told", TALES, ids=NAMES)
def test_a_story_is_as_it_is_told(told: Tale, lab_rig: BaseRig) -> None:
    known = rows()
    stories = run_story(stored_plan(told.name), [known[name] for name in told.variants], lab_rig, replays=1)
    seen = {story.variant.name: {finding.promise for finding in story.broken} for story in stories}
    assert not [story.record.void for story in stories if story.record.void]
    assert all(told.breaks in seen[name] for name in told.broken)
    assert {name: seen[name] for name in told.whole} == {name: set() for name in told.whole}
    assert all(len(story.steps) == len(story.record.plan.steps) for story in stories)


def test_a_story_has_a_repaired_backend() -> None:
    assert len(TALES) >= 6
    assert not [told.name for told in TALES if not any(name.startswith("persistent_") for name in told.whole)]
    assert not [told.name for told in TALES if not told.broken]


def test_without_a_name_the_stories_are_listed(lab_inside: Lab) -> None:
    said = lab_inside("demo")
    assert said.returncode == 0
    assert [line.split()[0] for line in said.stdout.splitlines()[1:-1] if line[0] != " "] == NAMES


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("demo", "nothing-such"), "there is no story 'nothing-such'; known: thread-safety"),
        (("demo", "fork", "--step"), "--step waits for a key, and this is no terminal"),
        (("demo", "fork", "--times", "-1"), "--times"),
        (("demo", "fork", "--report", "pdf"), "there is no such report"),
        (("demo", "fork", "--rig", "moon"), "moon"),
    ],
)
def test_what_is_typed_wrong_is_said_in_one_line(lab_inside: Lab, arguments: tuple[str, ...], says: str) -> None:
    said = lab_inside(*arguments)
    assert said.returncode == 254
    assert says in said.stderr
    assert len(said.stderr.splitlines()) == 1
    assert said.stdout == ""


@pytest.mark.slow
def test_a_story_is_told_step_by_step_with_its_pages(terminal: Terminal, tmp_path: Path) -> None:
    lab = terminal("demo", "swallowed-error", "--step", "--times", "1", "--store", str(tmp_path / "shelf"))
    lab.until("django_per_request")
    lab.quiet()
    assert "a request arrives" not in lab.seen  # nothing is shown before a key
    _press(lab, "a request arrives")
    assert "enters atomic()" not in lab.seen
    _press(lab, "enters atomic()")
    _press(lab, "report: ", quiet=0.1)
    assert lab.status() == 0
    assert "1 of 1 replays agree" in lab.seen
    pages = sorted((tmp_path / "shelf" / "report").glob("*/demo/swallowed-error.html"))
    assert [page.parts[-3] for page in pages] == ["django_per_request", "persistent_threadlocal"]


def _press(lab: OnTerminal, text: str, quiet: float = 1.0) -> None:
    """Type keys until `text` has been printed; what is typed before it is asked for is dropped."""
    while text not in lab.seen:
        lab.type(" ")
        lab.quiet(quiet)


@pytest.mark.slow
def test_a_story_that_is_left_at_a_key_ends_at_once(terminal: Terminal, tmp_path: Path) -> None:
    lab = terminal("demo", "swallowed-error", "--step", "--times", "1", "--store", str(tmp_path / "shelf"))
    lab.until("django_per_request")
    lab.type("\x03")
    assert lab.status() == 130
    assert "Traceback" not in lab.seen


TAKEN_ELSEWHERE = """
import signal, sys, threading

from lab.cli.demo import _key

threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("waits", flush=True)
try:
    _key()
except KeyboardInterrupt:
    sys.exit(3)
"""


def test_an_interrupt_that_another_thread_takes_ends_the_wait_for_a_key(tmp_path: Path) -> None:
    lab = OnTerminal((), tmp_path, {}, ("-c", TAKEN_ELSEWHERE))
    try:
        lab.until("waits")
        lab.interrupt_once_it_reads_keys()
        assert lab.status() == 3
    finally:
        lab.close()


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_a_story_replays_as_often_as_it_says(name: str, lab_command: Lab) -> None:
    said = lab_command("demo", name)
    assert said.returncode == 0, said.stderr
    assert said.stderr.count("page: ") == len(next(told.variants for told in TALES if told.name == name))
