"""`lab serve`: the pages of a store over HTTP, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.errors import BadInput
from lab.report.serve import LOOPBACK, listening
from lab.report.terminal import console
from lab.store import default_root

PORT = 8765
What = Annotated[
    Path | None, typer.Argument(metavar="STORE", help="A store's folder. Default: $LAB_STORE, else ./store.")
]
PortFlag = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Where; 0 takes a free one.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve_command)


def serve_command(what: What = None, port: PortFlag = PORT) -> int:
    """Show the pages of a store in a browser, those of a check in progress as it goes on.

    It listens on 127.0.0.1 only, reads the store anew at each request and writes nothing, until Ctrl-C.
    """
    root = what or default_root()
    if not root.is_dir():
        raise BadInput(f"{root} is no folder", "give that of a store, or run `lab check` first")
    with listening(root.absolute(), port) as server:
        console().print(f"http://{LOOPBACK}:{server.server_port}/", markup=False, soft_wrap=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass  # how it is meant to be ended
    return 0
