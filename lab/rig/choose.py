"""The rigs by name, and what each is capable of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

from lab.errors import BadInput, ToolMissing
from lab.rig import netns, toxiproxy_binary
from lab.rig.netns_rig import NetnsRig
from lab.rig.postgres import MAX_CONNECTIONS
from lab.rig.rig import Rig
from lab.rig.toxiproxy_binary import Progress

VARIABLE = "LAB_RIG"
DEFAULT = "embedded"
RIGS: dict[str, type[Rig]] = {"embedded": Rig, "netns": NetnsRig}


def prepare(name: str | None = None) -> str:
    """The rig to use: `name`, else $LAB_RIG, else embedded. Call it before anything starts a thread.

    For netns this process moves into a namespace of its own, out of which nothing can be fetched any more. Raises
    `BadInput` for a name that is none, `ToolMissing` where the machine cannot have that rig.
    """
    chosen = name or os.environ.get(VARIABLE) or DEFAULT
    if chosen not in RIGS:
        raise BadInput(f"there is no rig {chosen!r}", f"known: {', '.join(RIGS)}")
    if chosen == NetnsRig.name and not netns.entered():
        _build_toxiproxy()
        netns.enter()
    return chosen


def open_rig(
    name: str = DEFAULT, progress: Progress = lambda _: None, max_connections: int = MAX_CONNECTIONS
) -> Rig:
    """The rig that `prepare` has returned the name of, not yet entered."""
    return RIGS[name](progress, max_connections)


def capable(needs: Iterable[str]) -> tuple[str, ...]:
    """The names of the rigs that can do all of this."""
    return tuple(name for name, rig in RIGS.items() if rig.capabilities.issuperset(needs))


def lacking(rig: str, needs: Iterable[str]) -> str:
    """A line that says what this rig lacks and which has it; "" when it lacks nothing."""
    missing = frozenset(needs) - RIGS[rig].capabilities if rig in RIGS else frozenset(needs)
    if not missing:
        return ""
    others = capable(needs)
    has = f"--rig {' or '.join(others)} has it" if others else "no rig has it"
    return f"the {rig} rig lacks {', '.join(sorted(missing))}: {has}"


def _build_toxiproxy() -> None:
    """In a process of its own: building takes the internet, and threads, neither of which may be had here."""
    if toxiproxy_binary.find() is not None:
        return
    done = subprocess.run([sys.executable, "-m", "lab.rig.provision"], check=False)
    if done.returncode:
        raise ToolMissing("Toxiproxy is not there and could not be built", toxiproxy_binary.REMEDY)
