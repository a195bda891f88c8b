"""The flags that every command has."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fix_cli import ROOT, Lab, caller_environ


@pytest.mark.parametrize("arguments", [["-h"], ["check", "-h"], ["explore", "cuts", "-h"], ["list", "variants", "-h"]])
def test_short_help_is_the_help(lab_inside: Lab, arguments: list[str]) -> None:
    short, long = lab_inside(*arguments), lab_inside(*arguments[:-1], "--help")
    assert (short.returncode, short.stdout) == (0, long.stdout)
    for flag in ("--quiet", "--no-color"):
        assert flag in short.stdout


def test_help_keeps_its_brackets(lab_inside: Lab) -> None:
    shown = "".join(lab_inside("check", "--help").stdout.split())
    assert "DATABASES[alias]" in shown.replace("│", "")


@pytest.mark.parametrize("where", [0, 1])
def test_without_colour_on_a_terminal(where: int) -> None:
    """`script` gives it one; the flag may stand before the command and after it."""
    arguments = ["judge", "--help"]
    shown = {}
    for flags in ([], ["--no-color"]):
        given = [*arguments[:where], *flags, *arguments[where:]]
        command = " ".join([sys.executable, "-m", "lab.cli", *given])
        done = subprocess.run(
            ["script", "-qec", command, "/dev/null"],
            env={**caller_environ(), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        )
        shown[bool(flags)] = done.stdout
    assert ";33m" in shown[False]
    assert ";33m" not in shown[True]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lab che", "check"),
        ("lab check --prom", "--promise"),
        ("lab check --promise reu", "reuses"),
        ("lab matrix persistent_g", "persistent_global"),
    ],
)
def test_a_shell_completes(line: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli"],
        env={
            **caller_environ(),
            "PYTHONPATH": str(ROOT),
            "_LAB_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [expected], done
