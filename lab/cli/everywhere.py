"""The flags that every command has, and completion for shells."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

COMPLETE_VARIABLE = "_LAB_COMPLETE"
"""Set by a shell that asks what could come next; Typer and Click agree on the name."""

WORDS_VARIABLES = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Where bash, and where other shells, put the line as it stands."""


def typed(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """The command that is named by the arguments, or by the line that a shell wants completed; "" where none is."""
    if COMPLETE_VARIABLE in environ:
        line = next((environ[name] for name in WORDS_VARIABLES if name in environ), "")
        arguments = line.split()[1:]
    return next((each for each in arguments if not each.startswith("-")), "")


def command_of(app: typer.Typer) -> Any:
    """The command behind an app, with these flags at each of its commands."""
    command: Any = typer.main.get_command(app)
    flags = _flags()
    command.params[:0] = [flag for flag in flags if "--version" in flag.opts]
    for each in _commands(command):
        own = {opt for param in each.params for opt in param.opts}  # a command may have a flag of that name itself
        each.params += [flag for flag in flags if "--version" not in flag.opts and not own & set(flag.opts)]
    return command


def _commands(command: Any) -> Iterator[Any]:
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from _commands(each)


def _flags() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_everywhere)
    return list(typer.main.get_command(app).params)


def _say_version(wanted: bool) -> None:
    if wanted:
        try:
            version = importlib.metadata.version("connection-lab")
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed)"
        typer.echo(f"connection-lab {version}, Python {platform.python_version()}")
        raise typer.Exit


def _without_color(wanted: bool) -> None:
    if wanted:
        os.environ["NO_COLOR"] = "1"  # what Rich and Typer go by


def _quiet(wanted: bool) -> None:
    if wanted:
        from lab.report.terminal import be_quiet

        be_quiet()


def _everywhere(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which one this is.", callback=_say_version, expose_value=False, is_eager=True
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print the result alone: no progress, and not where evidence and report are.",
            callback=_quiet,
            expose_value=False,
            is_eager=True,
        ),
    ] = False,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            help="Print without colour, as $NO_COLOR asks for.",
            callback=_without_color,
            expose_value=False,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Carries the flags; never called."""
