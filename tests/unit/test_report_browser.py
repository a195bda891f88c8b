"""The pages in a real browser: nothing on the console, nothing too wide, nothing that axe-core finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab.report.pages.folder import report_store
from lab.report.pages.shelf import open_shelf
from lab.report.serve import listening
from unit.stored import hostile_store, store_of_every_kind, wide_store

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools/browser"
DEADLINE = 600.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
KINDS = {"cuts", "interleavings", "timeouts", "own", "replays", "versions"}
BAD = (
    '<!DOCTYPE html><html lang="en"><title>bad</title><body><main><h1>bad</h1>'
    '<p style="color:#ccc;background:#fff">pale</p><div style="width:3000px">wide</div>'
    '<p style="width:1em;overflow-wrap:anywhere">letter below letter</p>'
    '<script>console.error("oh")</script><img src="nowhere.png" alt="x"></main></html>'
)

pytestmark = pytest.mark.slow
looks = pytest.mark.browser


@pytest.fixture(scope="session")
def chromium() -> str:
    """Its path; a machine without it, or without what drives it, skips and says so."""
    found = os.environ.get("LAB_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found or not shutil.which("node") or not (TOOLS / "node_modules/playwright-core").is_dir():
        pytest.skip("no browser: `sh tools/browser.sh` installs one")
    return found


def look(chromium: str, *urls: str) -> list[dict[str, Any]]:
    """What tools/browser/look.mjs says of each page, narrow and light, and wide and dark."""
    done = subprocess.run(
        ["node", "look.mjs", *urls],
        cwd=TOOLS,
        env={**os.environ, "LAB_CHROMIUM": chromium},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> dict[str, list[dict[str, Any]]]:
    """What was seen of each page of every kind, of a bad one, and of a stranger's store over http: in one browser."""
    folder = tmp_path_factory.mktemp("pages")
    store_of_every_kind(folder)
    report_store(folder)
    report = folder / "report"
    kinds = [report / "index.html", *sorted((report / "mine").glob("*/index.html"))]
    kinds += [
        next((report / "mine").glob(name))
        for name in ("2*/0001*.html", "replays/a-replay.html", "replays/0002-damaged.html")
    ]
    assert {page.parent.name.partition("-")[0] for page in kinds} >= KINDS
    wide = tmp_path_factory.mktemp("wide")
    wide_store(wide)
    kinds.append(report_store(wide).index)
    bad = folder / "bad.html"
    bad.write_text(BAD)
    strange = tmp_path_factory.mktemp("strange")
    hostile_store(strange)
    pages = [case.page for check in open_shelf(strange).checks for case in check.cases]
    pages += ["", *(entry.page for entry in open_shelf(strange).entries())]
    with listening(strange, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        urls = {
            "kinds": [page.as_uri() for page in kinds],
            "bad": [bad.as_uri()],
            "strange": [f"http://127.0.0.1:{server.server_port}/{page}" for page in pages],
        }
        try:
            told = look(chromium, *(url for each in urls.values() for url in each))
        finally:
            server.shutdown()
            thread.join()
    return {name: [each for each in told if each["url"] in those] for name, those in urls.items()}


@looks
def test_no_page_has_anything_to_complain_of(seen: dict[str, list[dict[str, Any]]]) -> None:
    assert len(seen["kinds"]) == 2 * len({each["url"] for each in seen["kinds"]}) >= 20
    assert {(each["width"], each["colorScheme"]) for each in seen["kinds"]} == {(360, "light"), (1600, "dark")}
    assert [each for each in seen["kinds"] if each["complaints"]] == []


@looks
def test_looking_finds_what_is_wrong_with_a_bad_page(seen: dict[str, list[dict[str, Any]]]) -> None:
    complaints = " ".join(said for each in seen["bad"] for said in each["complaints"])
    for sign in ("console error: oh", "overflow", "axe color-contrast", "failed:", "letter below letter: P"):
        assert sign in complaints


@looks
def test_strangers_store_over_http_is_text_and_nothing_else(seen: dict[str, list[dict[str, Any]]]) -> None:
    assert len(seen["strange"]) == 8
    assert [each for each in seen["strange"] if each["complaints"]] == []


def _install(tmp_path: Path, **programs: str) -> tuple[int, str, float]:
    """tools/browser.sh on a copy, with these programs and a shell's on the path; its status, what it says, seconds."""
    shutil.copytree(TOOLS, tmp_path / "browser", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(TOOLS.parent / "browser.sh", tmp_path)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("sh", "dirname", "timeout", "env", "rm", "sleep"):
        (bin_ / name).symlink_to(shutil.which(name) or "")
    for name, script in programs.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_ / name).chmod(0o755)
    begun = time.monotonic()
    done = subprocess.run(
        ["sh", tmp_path / "browser.sh", "1"], env={"PATH": str(bin_)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begun


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({}, "no chromium on PATH, and apt-get could not install it"),
        ({"apt-get": "sleep 60"}, "within 1 s"),
        ({"chromium": ""}, "no node on PATH"),
        ({"chromium": "", "node": "echo v18.20.4"}, "needs node 20 or newer, this is v18.20.4"),
        ({"chromium": "", "node": "echo v20.1.0"}, "npm could not install"),
        ({"chromium": "", "node": "echo v20.1.0", "npm": "sleep 60"}, "npm could not install"),
    ],
)
def test_a_machine_without_a_browser_says_so_and_is_not_waited_for(
    tmp_path: Path, programs: dict[str, str], said: str
) -> None:
    status, text, seconds = _install(tmp_path, **programs)
    assert status == 1
    (line,) = text.splitlines()
    assert line.startswith("browser: none, the tests marked browser are skipped: ")
    assert said in line
    assert seconds < 15


def test_a_browser_that_is_there_is_found_under_any_of_its_names(tmp_path: Path) -> None:
    there = {"google-chrome": "", "node": "echo v22.1.0", "npm": ":"}
    assert _install(tmp_path, **there)[:2] == (0, f"browser: {tmp_path}/bin/google-chrome, node v22.1.0\n")
