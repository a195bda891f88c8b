"""The documentation's site: built strictly, searchable, and its reference is that of the code."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from lab.cli import COMMANDS
from lab.fault import FAULTS
from lab.promise import PROMISES
from lab.records.codec import decode_plan
from lab.records.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
KINDS = ("Tutorial", "How-to guides", "Reference", "Explanation")
FRONT = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md", "changes/README.md")
]
QUESTIONS = (
    "connection already closed",
    "SSL connection has been closed unexpectedly",
    "couldn't get a connection after 30 sec",
    "idle in transaction",
    "my worker says the connection is closed",
    "CONN_MAX_AGE under ASGI",
    "against max_connections",
    "Is it safe to retry",
    "Settings behind PgBouncer",
    "Which timeout ends a hang",
    "What happens at failover",
)


def _build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-E", "-q", "-b", "html", str(source), str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = _build(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def reference() -> Any:
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("generated")
    finally:
        sys.path.remove(str(DOCS))


@pytest.mark.slow
def test_the_site_has_no_warning_and_no_page_is_left_out(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    assert len(pages) > 40
    assert pages <= {page.relative_to(site) for page in site.rglob("*.html")}


@pytest.mark.slow
def test_the_site_has_four_kinds_and_one_search_box(site: Path) -> None:
    index = (site / "index.html").read_text()
    assert all(kind in index for kind in KINDS)
    assert index.count('type="search"') + index.count('class="sidebar-search"') >= 1
    found = (site / "searchindex.js").read_text()
    assert "how-to/is-it-safe-to-retry" in found


@pytest.mark.slow
def test_a_dead_link_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text('extensions = ["myst_parser"]\nmyst_heading_anchors = 4\nnitpicky = True\n')
    page = tmp_path / "index.md"
    for link in ("nowhere.md", "#no-such-heading"):
        page.write_text(f"# A page\n\n[a link]({link})\n")
        assert _build(tmp_path, tmp_path / "out").returncode != 0, link
    page.write_text("# A page\n\n[a link](#a-page)\n")
    done = _build(tmp_path, tmp_path / "out")
    assert done.returncode == 0, done.stderr


def _links(page: Path) -> list[str]:
    """Where its links and pictures lead, code apart."""
    text = re.sub(r"^(```+).*?^\1|`[^`]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(<?([^)\s>]+)", text)


@pytest.mark.parametrize("page", FRONT, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_that_the_site_does_not_hold_has_no_dead_link(page: Path) -> None:
    """README and its like, which Sphinx does not read: files by their path, headings by their words."""
    for link in _links(page):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles]
            assert heading in slugs, link


def test_addresses_outside_are_well_formed_and_the_nightly_check_knows_those_of_the_front_pages() -> None:
    """Whether they answer is asked at night alone (`-b linkcheck`): CI must not depend on somebody else's server."""
    found = {page: {link for link in _links(page) if "://" in link} for page in [*FRONT, *DOCS.rglob("*.md")]}
    everything = set().union(*found.values())
    assert len(everything) >= 5
    for link in everything:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
        assert not link.endswith((".", ",", ";")), link
    site = set().union(*(links for page, links in found.items() if page not in FRONT))
    assert set().union(*(found[page] for page in FRONT)) <= site


def test_each_question_that_people_type_is_the_title_of_a_guide() -> None:
    titles = [page.read_text().splitlines()[0].replace("`", "") for page in (DOCS / "how-to").glob("*.md")]
    assert not [words for words in QUESTIONS if not any(words in title for title in titles)]


def test_each_guide_has_a_command_with_its_output() -> None:
    guides = sorted((DOCS / "how-to").glob("*.md"))
    lacking = [page.name for page in guides if not re.search(r"<!-- run: .*\n```(console|sh)\n", page.read_text())]
    assert not lacking


def test_the_reference_names_all_that_there_is(reference: Any) -> None:
    pages = reference.pages()
    assert not [name for name in COMMANDS if f"## `lab {name}`" not in pages["commands.md"]]
    assert not [name for name in PROMISES if f"## {name}\n" not in pages["promises.md"]]
    assert not [name for name in FAULTS if f"| `{name}` |" not in pages["faults.md"]]
    assert "`every_cut`" in pages["pytest.md"]
    assert "--lab-engine" in pages["pytest.md"]
    assert [number for number in ("0", "1", "2", "130", "254", "255") if f"| `{number}` |" in pages["exit-statuses.md"]]


def test_each_variable_of_the_code_is_in_the_reference(reference: Any) -> None:
    text = "".join(path.read_text() for name in ("lab", "faults") for path in (ROOT / name).rglob("*.py"))
    found = set(re.findall(r'"(LAB_[A-Z_]+)"', text)) - {
        "LAB_ID",
        "LAB_DATE",
    }  # the lab's mark on children, a type of psycopg2
    assert found == set(reference.VARIABLES)


def test_the_schema_in_the_reference_is_that_of_stored_plans(reference: Any) -> None:
    (whole,) = re.findall(r"```json\n(.*?)\n```", reference.pages()["plan.md"], re.DOTALL)
    schema = json.loads(whole)
    assert schema == json.loads(json.dumps(msgspec.json.schema(Plan)))
    stored = json.loads((ROOT / "tests" / "regressions" / "published_global.recovers.json").read_text())
    assert set(stored) <= set(schema["$defs"]["Plan"]["properties"])
    assert decode_plan(json.dumps(stored).encode(), "plan.json").steps
