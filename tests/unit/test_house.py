"""The house is as docs/ says: plug-in folders, families, glossary, pages that exist, and rooms that stay apart."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import get_args

import pytest

from lab import fault
from lab.promise import PROMISES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CODE = ("lab", "faults", "backend_under_test", "connection_lab")
PAGE = re.compile(r"[\w./-]*\w\.md\b")
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def _table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the table's head."""
    below = f"\n{(DOCS / page).read_text()}".split(f"\n{heading}\n", 1)[1]
    rows = takewhile(lambda line: line.startswith("|"), below[below.index("\n|") + 1 :].splitlines())
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in list(rows)[2:]]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _plugins(folder: Path) -> list[str]:
    """The files of a folder that are plug-ins, as modules."""
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]


def _imports(path: Path) -> set[str]:
    """The modules that a file names in its import statements, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


# -- plug-ins ---------------------------------------------------------------------------------------------------------


def test_every_file_of_promises_registers_one() -> None:
    registered = Counter(type(promise).__module__ for promise in PROMISES.values())
    assert registered == Counter(_plugins(ROOT / "lab" / "promises"))


def test_every_file_of_faults_registers_one_of_its_folders_family() -> None:
    registered = Counter(cls.__module__ for cls in fault.FAULTS.values())
    families = [path.parent for path in sorted((ROOT / "faults").glob("*/__init__.py"))]
    assert registered == Counter(name for family in families for name in _plugins(family))
    assert {cls.__module__.split(".")[1]: cls.family for cls in fault.FAULTS.values()} == {
        family.name: family.name for family in families
    }
    assert all(cls.family == cls.__module__.split(".")[1] for cls in fault.FAULTS.values())


def test_families_on_disk_are_those_that_a_fault_may_name() -> None:
    on_disk = {path.parent.name for path in (ROOT / "faults").glob("*/__init__.py")}
    assert on_disk == set(get_args(fault.Family)) == {cls.family for cls in fault.FAULTS.values()}


def test_faults_share_helpers_and_never_import_each_other() -> None:
    plugins = {name for path in (ROOT / "faults").glob("*/__init__.py") for name in _plugins(path.parent)}
    found = {str(path): _imports(path) & plugins for path in (ROOT / "faults").rglob("*.py")}
    assert not {path: names for path, names in found.items() if names}


def test_promises_page_has_each_promise_with_its_sentence() -> None:
    rows = _table("promises.md", "# The promises")
    assert {_quoted(row[0])[0]: row[1] for row in rows} == {each.id: each.sentence for each in PROMISES.values()}


# -- words and pages --------------------------------------------------------------------------------------------------


def _exists(name: str) -> bool:
    """Whether a dotted name is a module, or a name in one; whether a path with a slash is a file or folder here."""
    if "/" in name:
        return (ROOT / name).exists()
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for part in parts[size:]:
            annotated = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in annotated:
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.parametrize("row", _table("glossary.md", "# Glossary"), ids=lambda row: str(row[0].replace("*", "")))
def test_glossary_names_what_exists(row: list[str]) -> None:
    names = _quoted(row[2])
    assert names, "a word of the code has a place in it"
    assert not [name for name in names if not _exists(name)]


def test_glossary_has_each_word_once() -> None:
    words = Counter(row[0] for row in _table("glossary.md", "# Glossary"))
    assert not [word for word, times in words.items() if times > 1]
    assert list(words) == sorted(words, key=lambda word: word.replace("*", "").lower())


def test_a_dead_glossary_name_is_seen() -> None:
    assert _exists("lab.records.plan.Plan")
    assert _exists("lab/subject/inside/connection_lab_inside/actor.py")
    assert not _exists("lab.records.plan.Blueprint")
    assert not _exists("lab.blueprints")
    assert not _exists("lab/blueprints")


def _dead_pages(text: str, folder: Path) -> list[str]:
    """The pages that a text names by a path that leads nowhere, neither from its folder nor from the root."""
    return [page for page in PAGE.findall(text) if not any((place / page).is_file() for place in (folder, ROOT))]


def test_code_points_to_pages_that_exist() -> None:
    files = [path for name in CODE for path in (ROOT / name).rglob("*.py")]
    dead = {str(path.relative_to(ROOT)): _dead_pages(path.read_text(), path.parent) for path in files}
    assert not {path: pages for path, pages in dead.items() if pages}


def test_pages_link_to_files_that_exist() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "tests").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())]
    assert links
    assert not [(page.name, link) for page, link in links if "://" not in link and not (page.parent / link).exists()]


def test_a_dead_page_is_seen() -> None:
    assert _dead_pages("as docs/verdicts.md and design.md say", ROOT) == ["design.md"]


# -- rooms ------------------------------------------------------------------------------------------------------------


def test_the_subjects_inside_imports_neither_the_lab_nor_its_libraries() -> None:
    inside = ROOT / "lab" / "subject" / "inside"
    libraries = {"connection_lab_inside", "django", "psycopg", "psycopg2", "psycopg_pool", "configurations"}
    allowed = libraries | {"time_machine", "_time_machine"} | sys.stdlib_module_names  # where it is there
    files = list(inside.rglob("*.py"))
    assert len(files) > 5
    found = {path.name: {name.split(".")[0] for name in _imports(path)} - allowed for path in files}
    assert not {name: extra for name, extra in found.items() if extra}


def _rooms() -> list[tuple[str, str]]:
    rows = _table("architecture.md", "## The rooms")
    return [(_quoted(room)[0], forbidden) for room, _, never in rows for forbidden in _quoted(never)]


def test_rooms_table_names_every_room() -> None:
    named = {room for room, _ in _rooms()}
    there = {f"lab.{path.stem}" for path in (ROOT / "lab").glob("*.py")}
    there |= {f"lab.{path.parent.name}" for path in (ROOT / "lab").glob("*/__init__.py")} - {"lab.rig"}
    there |= {f"lab.rig.{path.parent.name}" for path in (ROOT / "lab" / "rig").glob("*/__init__.py")}
    assert there - named == {"lab.__init__", "lab.errors", "lab.plans"}  # these import nothing of the lab


@pytest.mark.slow
def test_each_forbidden_import_breaks_a_contract(tmp_path: Path) -> None:
    for name in CODE:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    expected: list[str] = []
    for room, forbidden in _rooms():
        path = tmp_path.joinpath(*room.split("."))
        if path.is_dir():
            importer, file = f"{room}.intruder_{len(expected)}", path / f"intruder_{len(expected)}.py"
        else:
            importer, file = room, path.with_suffix(".py")
        with file.open("a") as source:
            source.write(f"\nimport {forbidden}\n")
        expected.append(f"{importer} -> {forbidden} ")
    environ = {**os.environ, "COLUMNS": "1000", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-cache"]
    said = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 1
    assert not [line for line in expected if line not in said.stdout]
