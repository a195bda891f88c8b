"""The command line: parse, call, print. Each module in this package with a `register(app)` is a command."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import typer

from lab.errors import LabError
from lab.store import default_root

BAD_ARGUMENTS = 254
FAILED = 255
INTERRUPTED = 130
ClickException: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer brings a Click of its own, earlier ones used the installed one: this is the one in use."""


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="lab",
        help="Which promises does a Django database backend keep when its connections are severed?",
        epilog="Exit status: 0 all claimed promises kept, 1 a claimed one broken, 2 a claimed one unknown, "
        "254 bad arguments, 255 the lab itself failed.",
        add_completion=False,
        no_args_is_help=True,
    )
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        register = getattr(importlib.import_module(module.name), "register", None)
        if register is not None:
            register(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status. What fails says so in one line, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        status = typer.main.get_command(build_app())(args=arguments, prog_name="lab", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except ClickException as error:
        return _usage(error)
    except LabError as error:
        _say(str(error))
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has gone: nothing is left to say
        return FAILED
    except Exception as error:  # noqa: BLE001 - a bug of the lab: one line here, all of it in a file
        _say(f"a bug of the lab: {type(error).__name__}: {error}; the traceback is in {_keep_traceback()}")
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
