"""No judge accuses by what an exception says: texts vary with driver, version, language and backend."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lab.judging
import lab.promises
from lab.records.history import Cause

ACQUITS = ("errors.py", "quotes_an_attempt")
"""The one reader of texts: what it finds turns a verdict into unknown."""

FOLDERS = [Path(module.__path__[0]) for module in (lab.judging, lab.promises)]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]
WHOLE = ("str", "repr", "format", "vars", "asdict", "astuple", "to_builtins", "encode")
"""What makes text, or data, of a whole cause, its text among it."""


def readers(source: str) -> list[str]:
    """The functions in which the text of an exception may be read: not that of a step, which is called `plan`."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    outside = ["<module>"] if any(_reads(node) for node in ast.walk(tree) if id(node) not in inside) else []
    return [function.name for function in functions if any(map(_reads, ast.walk(function)))] + outside


def _reads(node: ast.AST) -> bool:
    """By its name, by getattr(), in a pattern, or with all the rest of a cause or of a chain."""
    match node:
        case ast.Attribute(attr="text", value=ast.Attribute(attr="plan")):
            return False
        case ast.Attribute(attr="text") | ast.Call(args=[_, ast.Constant(value="text"), *_]):
            return True
        case ast.MatchClass(kwd_attrs=names):
            return "text" in names
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[about, *_]) if name in WHOLE:
            return _of_causes(about)
        case ast.FormattedValue(value=about):
            return _of_causes(about)
    return False


def _of_causes(node: ast.AST) -> bool:
    """Whether it is a cause or a chain of them, by what judges call those."""
    if isinstance(node, ast.Subscript):
        return _of_causes(node.value)
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in ("cause", "causes", "chain", "visible", "hidden", "root", "link")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_judge_reads_the_text_of_an_exception(path: Path) -> None:
    assert {(path.name, name) for name in readers(path.read_text(encoding="utf-8"))} <= {ACQUITS}


@pytest.mark.parametrize(
    "reads",
    [
        "'refused' in call.chain[0].text",
        "'refused' in call.plane.text",
        "'refused' in getattr(cause, 'text')",
        "'refused' in getattr(cause, 'text', '')",
        "'refused' in str(cause)",
        "'refused' in str(call.chain[0])",
        "'refused' in repr(call.visible)",
        "'refused' in f'{cause}'",
        "'refused' in msgspec.structs.asdict(cause).values()",
        "'refused' in msgspec.json.encode(call.chain)",
    ],
)
def test_a_reader_is_found(reads: str) -> None:
    assert readers(f"def judge(call, cause):\n    return {reads}") == ["judge"]
    assert readers(f"async def judge(call, cause):\n    return {reads}") == ["judge"]
    assert readers(f"judge = lambda call, cause: {reads}") == ["<module>"]


def test_a_pattern_that_reads_is_found() -> None:
    assert readers("def judge(one):\n    match one:\n        case Cause(text='refused'):\n            return 1") == [
        "judge"
    ]
    assert "text" in Cause.__struct_fields__


def test_the_text_of_a_step_is_none_of_an_exception() -> None:
    assert readers("def judge(call):\n    return call.plan.text == 'BEGIN' or str(call.step)") == []
