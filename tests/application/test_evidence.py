"""What a failing test leaves behind: evidence in the project's folder, and a page that tells it."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = """
import pytest
from books import asks, books
pytestmark = pytest.mark.django_db

def test_cut(shop, client, every_cut):
    every_cut(lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1}), books)

def test_order(shop, every_order):
    every_order(asks("/wrong/orders/unlocked/", sku="a", n=1), asks("/wrong/orders/unlocked/", sku="a", n=2),
                invariant=books, preemptions=1)

def test_right(shop, client, every_cut):
    every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)
"""


def page_of(project: Project, ran: Ran, test: str) -> str:
    """The text of the page that the report names."""
    found = re.search(r"^page: (\S+)$", ran.report(test), re.MULTILINE)
    assert found, ran.report(test)
    text = (project.folder / found[1]).read_text(encoding="utf-8")
    assert "<script" not in text
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


@pytest.fixture(scope="module")
def ran(project: Project) -> Ran:
    project.write("test_evidence.py", TESTS)
    return project.pytest("test_evidence.py")


def test_page_of_a_cut_tells_it_in_full(project: Project, ran: Ran) -> None:
    page = page_of(project, ran, "test_cut")
    assert "every_cut: 3 statements, 8 cuts in" in page
    assert "invariant: 9 in stock and 0 sold, of 10" in page
    assert "pytest test_evidence.py::test_cut --lab-cut 'c1:ready:" in page
    assert re.search(r"SELECT shop_product\s+shop/wrong.py:\d+\s+UPDATE shop_product\s+shop/wrong.py:\d+", page)
    assert "** fin both at c1:ready:" in page  # what crossed the wire
    assert "ERROR django.request: Internal Server Error: /wrong/orders/" in page
    assert "OperationalError" in page


def test_page_of_an_order_has_a_column_for_each_request(project: Project, ran: Ran) -> None:
    page = page_of(project, ran, "test_order")
    assert re.search(r"step\s+request A\s+request B", page)
    assert "waits for a lock of " in page
    assert "--lab-order " in page
    assert "in stock and 3 sold, of 10" in page


def test_passing_test_leaves_nothing(project: Project, ran: Ran) -> None:
    assert ran.outcomes["test_right"] == "passed"
    kept = [each.name for each in (project.folder / ".connection-lab" / "own-tests").iterdir()]
    assert [name.rpartition("-")[0] for name in sorted(kept)] == [
        "test_evidence-py-test_cut",
        "test_evidence-py-test_order",
    ]
    assert (project.folder / ".connection-lab" / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_lab_report_draws_them_from_the_store_alone(project: Project, ran: Ran, tmp_path: Path) -> None:
    assert ran.status == 1
    argv = [sys.executable, "-m", "lab.cli", "report", ".connection-lab", "--out", str(tmp_path)]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(own-tests/[^"]+)"', index)
    assert len(links) == 2
    for link in links:
        assert "See it again" in (tmp_path / link).read_text(encoding="utf-8")


def test_store_that_cannot_be_written_takes_nothing_from_the_report(project: Project) -> None:
    project.write("test_evidence.py", TESTS)
    ran = project.pytest("test_evidence.py", "-k", "cut", environ={"LAB_STORE": "/proc/none"})
    report = ran.report("test_cut")
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in report
    assert re.search(r"^no page: cannot write /proc/none/own-tests/\S+: ", report, re.MULTILINE)
    assert "Traceback" not in ran.text


def test_evidence_needs_no_driver_but_the_projects(project: Project) -> None:
    project.write("test_evidence.py", TESTS)
    ran = project.pytest("test_evidence.py", "-k", "cut", "--lab-driver=psycopg2")
    assert "invariant: 9 in stock and 0 sold, of 10" in page_of(project, ran, "test_cut")
