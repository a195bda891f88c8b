"""The reference, written from the code: commands, promises, faults, moments, steps, formats, fixtures, statuses."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer

from lab import pytest_plugin
from lab.cli import BAD_ARGUMENTS, COMMANDS, FAILED, INTERRUPTED, build_app
from lab.cli.listing import fields_of, first_line, leaves, manners
from lab.fault import FAULTS
from lab.promise import PROMISES
from lab.records.moment import FORMS, NAMES
from lab.records.plan import Plan, Step
from lab.records.result import Result

HEAD = "<!-- written by docs/generated.py: change the code, not this page -->\n\n"

VARIABLES = {
    "LAB_STORE": "where evidence goes, like `--store`; default `store` in the current folder",
    "LAB_RIG": "which rig, like `--rig`",
    "LAB_PATIENCE": "a factor for every wait of the lab (1 to 100), for a slow or busy machine",
    "LAB_PROFILE": "how much is searched at random in pytest: dev, ci or nightly",
    "LAB_PG_BINDIR": "the folder with `postgres` and `initdb`, instead of the wheel's",
    "LAB_TOXIPROXY": "the path of `toxiproxy-server`, instead of the one that the lab finds or builds",
    "LAB_POSTGRES_VERSION": "the server's version on the rig `docker`",
    "LAB_COMPOSE": "set inside of `compose/compose.yaml`: the servers are the file's own containers",
    "LAB_IMPORT_TIMEOUT": "seconds that a variant may take to be imported",
    "LAB_CUT": "`--lab-cut`, where a suite is not run by pytest",
    "LAB_ORDER": "`--lab-order`, there",
    "LAB_EVERY": "`--lab-every`, there",
    "LAB_WAYS": "`--lab-ways`, there",
    "LAB_PREEMPTIONS": "`--lab-preemptions`, there",
    "LAB_BOUND": "`--lab-bound`, there",
}
"""Each variable that the code reads; a test compares. LAB_ID is the lab's mark on its children."""

STATUSES = (
    (0, "all claimed promises are kept; what was asked for is done"),
    (1, "a claimed promise is broken, or something got worse, or replays disagree"),
    (2, "a claimed promise is unknown, and none is broken"),
    (INTERRUPTED, "Ctrl-C"),
    (BAD_ARGUMENTS, "bad input: an argument, a file, a setting; one line on stderr says which, and what to do"),
    (FAILED, "the lab itself failed: a server that does not start, a full disk, a bug"),
)


def pages() -> dict[str, str]:
    """Every page of the reference by its file's name."""
    made: dict[str, Callable[[], str]] = {
        "commands.md": commands,
        "promises.md": promises,
        "faults.md": faults,
        "moments.md": moments,
        "steps.md": steps,
        "plan.md": lambda: schema("The plan as JSON", "plan", Plan, PLAN),
        "verdict.md": lambda: schema("The verdict as JSON", "verdict", Result, VERDICT),
        "pytest.md": fixtures,
        "settings.md": settings,
        "exit-statuses.md": statuses,
    }
    return {name: HEAD + page() for name, page in made.items()}


def write(folder: Path) -> None:
    """Write the pages that changed, so that Sphinx reads no other one again."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


# -- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Each command with its arguments and flags."""
    parts = ["# Commands\n"]
    for name in COMMANDS:
        group: Any = typer.main.get_command(build_app([name]))
        parts.append(_command(f"lab {name}", group.commands[name], 2))
    return "\n".join(parts)


def _command(path: str, command: Any, level: int) -> str:
    parts = [f"{'#' * level} `{path}`\n", _paragraphs(command.help or ""), ""]
    context = typer.Context(command)
    rows = [row for each in command.params if (row := _parameter(each, context))]
    if rows:
        parts.append(_table(("argument or flag", "what it is"), rows))
    for name, each in getattr(command, "commands", {}).items():
        parts.append(_command(f"{path} {name}", each, level + 1))
    return "\n".join(parts)


def _parameter(parameter: Any, context: Any) -> tuple[str, str] | None:
    if "--help" in parameter.opts:
        return None
    shown = parameter.metavar or parameter.display_type(context)
    if parameter.param_type_name == "argument":
        return f"`{shown}`", _text(parameter.help or "")
    flags = ", ".join((*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else f" {shown}"
    return f"`{flags}{value}`", _text(parameter.help or "")


# -- what there is ----------------------------------------------------------------------------------------------------


def promises() -> str:
    """Each promise: its sentence, and when it is at stake."""
    parts = ["# Promises\n", "How each is judged: [the promises](../promises.md).\n"]
    for promise in PROMISES.values():
        parts += [
            f"## {promise.id}\n",
            f"{_text(promise.sentence)}\n",
            f"{_paragraphs(inspect.getdoc(promise) or '')}\n",
        ]
    return "\n".join(parts)


def faults() -> str:
    """Each fault, with its parameters and defaults."""
    rows = [(f"`{cls.kind}`", cls.family, _code(fields_of(cls)), _text(first_line(cls)), ", ".join(manners(cls)))
            for cls in (FAULTS.get(kind) for kind in FAULTS)]  # fmt: skip
    head = ("fault", "family", "parameters", "what it does", "how it runs")
    return "# Faults\n\n" + _table(head, rows)


def moments() -> str:
    """The moments of the PostgreSQL protocol."""
    rows = [(f"`{name}`", direction, _text(meaning)) for name, (direction, meaning) in NAMES.items()]
    return (
        "# Moments\n\nWhere wire faults and `lab tap` act.\n\n"
        + _table(("moment", "direction", "message"), rows)
        + f"\nWrite {_text(FORMS)}; `cN:` before it: connection N.\n"
    )


def steps() -> str:
    """The steps of a plan."""
    rows = [(f"`{cls.do}`", _code(fields_of(cls)), _text(first_line(cls))) for cls in leaves(Step)]
    return "# Steps\n\nWhat plans are made of, as it stands in JSON.\n\n" + _table(
        ("do", "fields", "what it does"), rows
    )


# -- formats ----------------------------------------------------------------------------------------------------------

PLAN = "A plan is what is generated, stored, shrunk and replayed; `lab replay` takes one."
VERDICT = "What `--json` writes and a store keeps as `verdicts.json`: one object for each variant."


def schema(title: str, name: str, kind: type[Any], what: str) -> str:
    """A format as JSON Schema, field by field and whole."""
    found = msgspec.json.schema(kind)
    parts = [f"# {title}\n", f"{what}\n"]
    for part, body in found["$defs"].items():
        if "properties" not in body:
            continue
        required = body.get("required", [])
        rows = [
            (f"`{field}`", _type(about), "" if field in required else _code(json.dumps(about.get("default", "…"))))
            for field, about in body["properties"].items()
        ]
        parts += [f"## {part}\n", _text(body.get("description", "").split("\n\n")[0]) + "\n",
                  _table(("field", "type", "default"), rows)]  # fmt: skip
    whole = json.dumps(found, indent=1)
    return "\n".join(parts) + f"\n## The whole as JSON Schema ({name})\n\n```json\n{whole}\n```\n"


def _type(about: dict[str, Any]) -> str:
    if "$ref" in about:
        part = about["$ref"].rpartition("/")[2]
        return f"[{part}](#{part.lower()})"
    for word in ("anyOf", "oneOf"):
        if word in about:
            return " or ".join(dict.fromkeys(_type(each) for each in about[word]))
    if "enum" in about:
        return " or ".join(f"`{json.dumps(each)}`" for each in about["enum"])
    kind = about.get("type", "anything")
    if kind == "array":
        return f"list of {_type(about.get('items') or {})}" if "items" in about else "list"
    if kind == "object" and isinstance(about.get("additionalProperties"), dict):
        return f"object of {_type(about['additionalProperties'])}"
    return str(kind)


# -- pytest, settings, statuses ---------------------------------------------------------------------------------------


class _Options:
    """Takes what the plugin tells pytest of its flags."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def getgroup(self, *_: Any, **__: Any) -> _Options:
        """The same for every group."""
        return self

    def addoption(self, *flags: str, **about: Any) -> None:
        """One more flag."""
        value = about.get("metavar") or ("|".join(about["choices"]) if about.get("choices") else "")
        if about.get("action") not in (None, "append") or (not value and "type" not in about):
            value = ""
        self.rows.append((f"`{', '.join(flags)}{f' {value}' if value else ''}`", _text(about.get("help", ""))))

    def addini(self, name: str, help: str, **_: Any) -> None:  # noqa: A002 - pytest's own word
        """A line of pytest's own file."""
        self.rows.append((f"`{name}` in pytest's settings", _text(help)))


def fixtures() -> str:
    """Fixtures and flags of the pytest plugin."""
    rows = []
    for name in pytest_plugin.__all__:
        fixture = getattr(pytest_plugin, name)
        function = getattr(fixture, "_fixture_function", None) or getattr(fixture, "__wrapped__", fixture)
        rows.append((f"`{name}`", _text((inspect.getdoc(function) or "").split("\n\n")[0])))
    options = _Options()
    pytest_plugin.pytest_addoption(options)  # type: ignore[arg-type]
    return (
        "# pytest: fixtures and flags\n\n## Fixtures\n\n"
        + _table(("fixture", "what it is"), rows)
        + "\n## Flags\n\n"
        + _table(("flag", "what it does"), options.rows)
    )


def settings() -> str:
    """Environment variables, and the project's own file."""
    rows = [(f"`{name}`", _text(meaning)) for name, meaning in VARIABLES.items()]
    return (
        "# Settings\n\n## Environment\n\n"
        + _table(("variable", "what it says"), rows)
        + "\n## `pyproject.toml`\n\n`claims` in `[tool.connection-lab]`, a list: what the project claims of its "
        "backend, as `--claim` of `lab check` does: presets (`django`, `persistent`, `strict`) and promises.\n\n"
        "`maximum` there, a number: the most sessions that a process of the project has for one alias, as `--maximum` "
        "of `lab check` says. It holds for every ENGINE and settings module that is judged in this folder, and for no "
        "bundled variant.\n"
    )


def statuses() -> str:
    """What a command's exit status means."""
    rows = [(f"`{number}`", meaning) for number, meaning in STATUSES]
    return "# Exit statuses\n\n" + _table(("status", "meaning"), rows)


# -- Markdown ---------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"


def _text(text: str) -> str:
    """Plain text as Markdown: nothing in it is a sign of Markdown but what stands in backquotes."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]{}#])", r"\\\1", part) for part in parts)


def _paragraphs(text: str) -> str:
    return "\n\n".join(_text(part) for part in text.split("\n\n"))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
