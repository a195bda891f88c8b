"""No judge accuses by what an exception says: texts vary with driver, version, language and backend."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lab.judging
import lab.promises

ACQUITS = ("errors.py", "quotes_an_attempt")
"""The one reader of texts: what it finds turns a verdict into unknown."""

FOLDERS = [Path(module.__path__[0]) for module in (lab.judging, lab.promises)]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]


def readers(source: str) -> list[str]:
    """The functions in which the text of an exception is read: `.text` of anything but a step of the plan."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [function.name for function in functions if any(map(_reads, ast.walk(function)))]


def _reads(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "text" and not ast.unparse(node.value).endswith("plan")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_judge_reads_the_text_of_an_exception(path: Path) -> None:
    assert {(path.name, name) for name in readers(path.read_text(encoding="utf-8"))} <= {ACQUITS}


def test_a_reader_is_found() -> None:
    assert readers("def judge(call):\n    return 'refused' in call.chain[0].text") == ["judge"]
    assert readers("def judge(call):\n    return call.plan.text == 'BEGIN'") == []
