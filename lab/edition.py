"""Which lab this is: its version, and a digest of its code, which tells a checkout with a change from one without."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PARTS = ("lab", "faults", "backend_under_test")
"""The packages whose code decides what a plan comes to."""
CODE = (".py", ".sql", ".json")


@functools.cache
def edition() -> str:
    """E.g. "0.1.0+3f2a9c1b04de": equal for equal code, wherever it is installed, in a git checkout or from a wheel."""
    digest = hashlib.sha256()
    for part in PARTS:
        folder = ROOT.parent / part
        for path in sorted(folder.rglob("*")):
            if path.suffix in CODE and "__pycache__" not in path.parts:
                digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return f"{version()}+{digest.hexdigest()[:12]}"


def version() -> str:
    """The version of the package, "0" where it is not installed."""
    try:
        return importlib.metadata.version("connection-lab")
    except importlib.metadata.PackageNotFoundError:
        return "0"
