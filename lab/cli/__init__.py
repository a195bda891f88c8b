"""The command line: parse, call, print.

Each command is a module of this package with a `register(app)`, and one line of `COMMANDS`: of all modules only that of
the command that was typed is loaded, because some of them take half a second, for the Docker SDK, psycopg and the like.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from lab.cli.everywhere import command_of, typed
from lab.errors import LabError, without_driver
from lab.explore.threads import remember_interrupts

BAD_ARGUMENTS = 254
FAILED = 255
INTERRUPTED = 130
ClickException: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer brings a Click of its own, earlier ones used the installed one: this is the one in use."""


class Command(NamedTuple):
    """A command as `lab --help` shows it: the module that it lives in, and the first sentence of its own help."""

    module: str
    summary: str


COMMANDS = {
    "check": Command("check", "Judge variants: which promises they keep under faults, with evidence that replays."),
    "advise": Command(
        "advise", "Find which settings turn broken promises into kept ones, and print them as a diff of DATABASES."
    ),
    "doctor": Command("doctor", "Look for everything that the lab needs, then start and stop its servers once."),
    "matrix": Command(
        "matrix", "Judge every bundled variant, or those that are named, and print the table promise x variant."
    ),
    "replay": Command("replay", "Run a plan again, against another variant too, and say how many of its runs agree."),
    "report": Command(
        "report", "Draw what is stored: an index, and a page for each check and each broken or unknown case."
    ),
    "serve": Command("serve", "Show the pages of a store in a browser, those of a check in progress as it goes on."),
    "shrink": Command(
        "shrink", "Take from a plan all that it does not need to break its promise, and write what is left as a plan."
    ),
    "tap": Command(
        "tap", "See what an application and its PostgreSQL server say to each other, and cut them off at a moment."
    ),
    "diff": Command(
        "diff",
        "Say what changed between two checks: what is broken that was not, what is fixed, what is not known any more.",
    ),
    "judge": Command("judge", "Judge every stored run again, by the judges of today, and say which verdicts differ."),
    "campaign": Command(
        "campaign",
        "Run what is too long for a check, in slices, on the workers of this machine or of a Dask cluster.",
    ),
    "merge": Command("merge", "Join the stores of shards into one, and print what the whole run would have printed."),
    "demo": Command("demo", "Tell a story step by step: what breaks on which backend, and the same on a repaired one."),
    "explore": Command("explore", "Try everything there is of one kind."),
    "sweep": Command(
        "sweep", "Run a suite's every_cut and every_order tests with deeper bounds, over several processes."
    ),
    "list": Command("listing", "What there is: variants, promises, faults, moments, steps, situations."),
}


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments: the command that they name is complete, of the others only the help."""
    app = typer.Typer(
        name="lab",
        help="Which promises does a Django database backend keep when its connections are severed?",
        epilog="Exit status: 0 all claimed promises kept, 1 a claimed one broken, 2 a claimed one unknown, "
        "254 bad arguments, 255 the lab itself failed.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    named = typed(arguments)
    for name, command in COMMANDS.items():
        if name == named:
            _load(command.module).register(app)
        else:
            app.command(name, help=command.summary)(_never_called)
    return app


def _load(module: str) -> Any:
    """The module of a command. Raises ToolMissing where the lab is installed without its driver."""
    try:
        return importlib.import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        raise without_driver(error) from None


def _never_called() -> None:
    """Stands for a command that was not typed."""
    raise AssertionError("only the command that was typed is called")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status. What fails says so in one line, never in a traceback."""
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another
    remember_interrupts()
    sys.exit(_status(arguments))


def _open_standard_files() -> None:
    """A standard file that was closed (`lab … >&-`) is /dev/null from now on.

    Its number would become that of a pipe or a pidfd of the lab's, which a child that gets it finds overlaid by its own
    output: the guardian then took the lab for ended.
    """
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115


def _status(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = command_of(build_app(given))(args=given, prog_name="lab", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except ClickException as error:
        return _usage(error)
    except LabError as error:
        _say(str(error))
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has gone: nothing is left to say
        return FAILED
    except Exception as error:  # noqa: BLE001 - a bug of the lab: one line here, all of it in a file
        at = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {at.filename}:{at.lineno}: {error}"
        _say(f"a bug of the lab: {what}; the traceback is in {_keep_traceback()}")
        return FAILED


def _usage(error: BaseException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        return BAD_ARGUMENTS  # the help has been printed instead of a message
    context = getattr(error, "ctx", None)
    message = str(getattr(error, "format_message", error.__str__)())
    path = context.command_path if context else "lab"
    _say(f"{message.rstrip('.')}; see `{path} --help`")
    return BAD_ARGUMENTS


def _say(line: str) -> None:
    sys.stderr.write(f"lab: {' '.join(line.split())}\n")


def _keep_traceback() -> str:
    from lab.store import default_root

    text = traceback.format_exc()
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    for folder in (default_root(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        except OSError:
            continue
        return str(folder / name)
    sys.stderr.write(text)
    return "the lines above: no folder could be written"
