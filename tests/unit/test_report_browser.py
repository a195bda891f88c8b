"""The pages in a real browser: nothing on the console, nothing too wide, nothing that axe-core finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.report.pages.folder import report_store
from lab.report.pages.shelf import open_shelf
from lab.report.serve import listening
from unit.stored import hostile_store, store_of_every_kind

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools/browser"
DEADLINE = 600.0

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Its path; a machine without it, or without what drives it, skips and says so."""
    found = os.environ.get("LAB_CHROMIUM") or shutil.which("chromium")
    if not found or not shutil.which("node") or not (TOOLS / "node_modules/playwright-core").is_dir():
        pytest.skip("no browser: `sh tools/browser.sh` installs one")
    return found


def look(chromium: str, *urls: str) -> list[dict[str, Any]]:
    """What tools/browser/look.mjs says of each page at each width, light and dark."""
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


def test_no_page_has_anything_to_complain_of(tmp_path: Path, chromium: str) -> None:
    store_of_every_kind(tmp_path)
    report_store(tmp_path)
    report = tmp_path / "report"
    pages = [report / "index.html", *sorted((report / "mine").glob("*/index.html"))]
    pages += [next((report / "mine").glob(name)) for name in ("2*/0001*.html", "replays/0002-damaged.html")]
    assert len(pages) == 9
    seen = look(chromium, *(page.as_uri() for page in pages))
    assert len(seen) == 4 * len(pages)
    assert {each["width"] for each in seen} == {360, 1600}
    assert [each for each in seen if each["complaints"]] == []


def test_looking_finds_what_is_wrong_with_a_bad_page(tmp_path: Path, chromium: str) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<!DOCTYPE html><html lang="en"><title>bad</title><body><main><h1>bad</h1>'
        '<p style="color:#ccc;background:#fff">pale</p><div style="width:3000px">wide</div>'
        '<script>console.error("oh")</script><img src="nowhere.png" alt="x"></main></html>'
    )
    complaints = " ".join(said for each in look(chromium, page.as_uri()) for said in each["complaints"])
    for sign in ("console error: oh", "overflow", "axe color-contrast", "failed:"):
        assert sign in complaints


def test_strangers_store_over_http_is_text_and_nothing_else(tmp_path: Path, chromium: str) -> None:
    hostile_store(tmp_path)
    pages = [case.page for check in open_shelf(tmp_path).checks for case in check.cases]
    pages += [check.page for check in open_shelf(tmp_path).checks]
    with listening(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            seen = look(chromium, *(f"http://127.0.0.1:{server.server_port}/{page}" for page in ("", *pages)))
        finally:
            server.shutdown()
            thread.join()
    assert len(seen) == 12
    assert [each for each in seen if each["complaints"]] == []
