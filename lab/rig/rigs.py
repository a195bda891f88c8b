"""The rigs by name. Each is loaded when it is asked for: one of them needs the Docker SDK, another one a namespace."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from lab.errors import BadInput, ToolMissing
from lab.rig.base import BaseRig
from lab.rig.capabilities import CAPABILITIES, DEFAULT, VARIABLE, remedy
from lab.rig.postgres.database import MAX_CONNECTIONS
from lab.rig.toxiproxy import binary
from lab.rig.toxiproxy.binary import Notify
from lab.timing import patience

CLASSES = {
    "embedded": "lab.rig.embedded.rig:Rig",
    "netns": "lab.rig.netns.rig:NetnsRig",
    "docker": "lab.rig.docker.rig:DockerRig",
}


def prepare(name: str | None = None) -> str:
    """The rig to use: `name`, else $LAB_RIG, else embedded. Call it before anything starts a thread.

    For netns this process moves into a namespace of its own, out of which nothing can be fetched any more. Raises
    `BadInput` for a name that is none, `ToolMissing` where the machine cannot have that rig.
    """
    rig = chosen(name)
    if rig == "netns":
        namespace = importlib.import_module("lab.rig.netns.namespace")
        if not namespace.entered():
            _build_toxiproxy()
            namespace.enter()
    return rig


def chosen(name: str | None = None) -> str:
    """The name of the rig to use, without preparing anything. Raises `BadInput`, for a senseless $LAB_PATIENCE too."""
    patience()  # what $LAB_PATIENCE says is refused before anything is started, and not in the middle of a run
    rig = name or os.environ.get(VARIABLE) or DEFAULT
    if rig not in CLASSES:
        raise BadInput(f"there is no rig {rig!r}", f"known: {', '.join(CLASSES)}")
    return rig


def open_rig(
    name: str = DEFAULT,
    progress: Notify = lambda _: None,
    max_connections: int = MAX_CONNECTIONS,
    *,
    postgres: str = "",
) -> BaseRig:
    """The rig that `prepare` has returned the name of, not yet entered.

    `postgres` is a server version such as "16", for rigs that are capable of "versions"; others refuse it: `BadInput`.
    """
    versions = "versions" in CAPABILITIES[name]
    if postgres and not versions:
        raise BadInput(f"the {name} rig has one PostgreSQL version", remedy({"versions"}))
    made: BaseRig = _class(name)(progress, max_connections, *([postgres] if versions else []))
    return made


@contextmanager
def apart(
    rig: BaseRig, progress: Notify = lambda _: None, *, postgres: str = "", trust: bool = False
) -> Iterator[Callable[[], BaseRig | None]]:
    """What starts another rig of the same kind when first called, for what must run alone; it ends with the block.

    Many commands have nothing that must. `trust`: it takes any password. What is called returns None where there can be
    only one rig, and is called by one thread at a time.
    """
    with ExitStack() as stack:

        @cache
        def second() -> BaseRig | None:
            if not rig.several:
                return None
            started = stack.enter_context(open_rig(rig.name, progress, postgres=postgres))
            if trust:
                started.trust()
            return started

        yield second


def _class(name: str) -> type[BaseRig]:
    module, _, attribute = CLASSES[name].partition(":")
    found: type[BaseRig] = getattr(importlib.import_module(module), attribute)
    return found


def _build_toxiproxy() -> None:
    """In a process of its own: building takes the internet, and threads, neither of which may be had here."""
    if binary.find() is not None:
        return
    done = subprocess.run([sys.executable, "-P", "-m", "lab.rig.provision"], check=False)
    if done.returncode:
        raise ToolMissing("Toxiproxy is not there and could not be built", binary.REMEDY)
