"""The rigs by name, and what each is capable of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from lab.errors import BadInput, ToolMissing
from lab.rig import netns, toxiproxy_binary
from lab.rig.base import BaseRig
from lab.rig.docker_rig import DockerRig
from lab.rig.netns_rig import NetnsRig
from lab.rig.postgres import MAX_CONNECTIONS
from lab.rig.rig import Rig
from lab.rig.toxiproxy_binary import Progress

VARIABLE = "LAB_RIG"
DEFAULT = "embedded"
RIGS: dict[str, type[BaseRig]] = {each.name: each for each in (Rig, NetnsRig, DockerRig)}


def prepare(name: str | None = None) -> str:
    """The rig to use: `name`, else $LAB_RIG, else embedded. Call it before anything starts a thread.

    For netns this process moves into a namespace of its own, out of which nothing can be fetched any more. Raises
    `BadInput` for a name that is none, `ToolMissing` where the machine cannot have that rig.
    """
    rig = chosen(name)
    if rig == NetnsRig.name and not netns.entered():
        _build_toxiproxy()
        netns.enter()
    return rig


def chosen(name: str | None = None) -> str:
    """The name of the rig to use, without preparing anything. Raises `BadInput`."""
    rig = name or os.environ.get(VARIABLE) or DEFAULT
    if rig not in RIGS:
        raise BadInput(f"there is no rig {rig!r}", f"known: {', '.join(RIGS)}")
    return rig


def open_rig(
    name: str = DEFAULT,
    progress: Progress = lambda _: None,
    max_connections: int = MAX_CONNECTIONS,
    *,
    postgres: str = "",
) -> BaseRig:
    """The rig that `prepare` has returned the name of, not yet entered.

    `postgres` is a server version such as "16", for rigs that are capable of "versions"; others refuse it: `BadInput`.
    """
    if name == DockerRig.name:
        return DockerRig(progress, max_connections, postgres)
    if postgres:
        raise BadInput(f"the {name} rig has one PostgreSQL version", remedy({"versions"}))
    return RIGS[name](progress, max_connections)


def apart(
    rig: BaseRig, progress: Progress = lambda _: None, *, postgres: str = ""
) -> AbstractContextManager[BaseRig | None]:
    """Another rig of the same kind, not yet entered, for what must run alone; None where there can be only one."""
    return open_rig(rig.name, progress, postgres=postgres) if rig.several else nullcontext()


def capable(needs: Iterable[str]) -> tuple[str, ...]:
    """The names of the rigs that can do all of this."""
    return tuple(name for name, rig in RIGS.items() if rig.capabilities.issuperset(needs))


def remedy(needs: Iterable[str]) -> str:
    """What to do to have all of this."""
    others = capable(needs)
    return f"use --rig {' or '.join(others)}" if others else "no rig has all of it"


def _build_toxiproxy() -> None:
    """In a process of its own: building takes the internet, and threads, neither of which may be had here."""
    if toxiproxy_binary.find() is not None:
        return
    done = subprocess.run([sys.executable, "-m", "lab.rig.provision"], check=False)
    if done.returncode:
        raise ToolMissing("Toxiproxy is not there and could not be built", toxiproxy_binary.REMEDY)
