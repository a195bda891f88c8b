"""Python environments with one version of Django each, made by uv in the cache folder and kept there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import BadInput, ToolMissing
from lab.rig.machine import cache, process
from lab.rig.machine.install import remedy

HOLDS = ("psycopg2-binary", "psycopg[binary,pool]", "time-machine")
"""Beside Django: both drivers, and what puts `datetime` forward in a subject."""
VERSION = re.compile(r"\d+\.\d+")
NAME = re.compile(r"django(?P<django>\d+\.\d+)-python(?P<python>\d+\.\d+)")
PREFIX = "environment-"
MOST = 40
"""Environments that stay, some 60 MB each: those that were used last, as long as they are used every month."""
RECIPE = 2
"""Counts changes of what an environment holds: those of an older recipe are made anew."""
TIMEOUT = 600.0
SEARCH = 20.0
OLD = re.compile(r"(?:requires|depends on|satisfies) .?Python|Requires-Python|requires-python", re.IGNORECASE)


@dataclass(frozen=True)
class Environment:
    """Django `django` ("5.2") under Python `python` ("3.11"), with all that HOLDS."""

    django: str
    python: str

    @property
    def key(self) -> str:
        """What its folder is called."""
        return f"{PREFIX}{RECIPE}-django{self.django}-python{self.python}"

    @property
    def name(self) -> str:
        """How a variant names it as its interpreter, on any machine: "django5.2-python3.11"."""
        return f"django{self.django}-python{self.python}"

    @property
    def there(self) -> bool:
        """Whether it has been made."""
        return (cache.folder() / self.key).is_dir()

    @property
    def executable(self) -> str:
        """Its interpreter."""
        return str(cache.folder() / self.key / "bin" / "python")

    def __str__(self) -> str:
        return f"Django {self.django}, Python {self.python}"


class Unavailable(Exception):
    """This Django does not exist for this Python; the text says why."""


def interpreter(named: str) -> str:
    """The interpreter that a variant names: that of an environment, or the path itself. Raises BadInput."""
    if (found := NAME.fullmatch(named)) is None:
        return named
    environment = Environment(found["django"], found["python"])
    if not environment.there:
        raise BadInput(
            f"there is no environment with {environment} here",
            f"make it: lab matrix --django {environment.django} --python {environment.python}",
        )
    cache.used(environment.key)
    return environment.executable


def contents(environment: Environment) -> str:
    """Exactly what it holds, as "python 3.11.7, django 5.2.19 …"; raises BadInput."""
    program = (
        "import importlib.metadata as m, platform; print(', '.join(['python ' + platform.python_version(), "
        "*(f'{name} {m.version(name)}' for name in ('django', 'psycopg2-binary', 'psycopg', 'psycopg-pool'))]))"
    )
    command = [interpreter(environment.name), "-I", "-c", program]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SEARCH, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        folder = cache.folder() / environment.key
        raise BadInput(f"the environment {folder} is damaged: {error}", "remove it, and it is made again") from None
    return asked.stdout.strip()


def versions(flag: str, text: str) -> list[str]:
    """The versions in a list with commas, each once; raises BadInput."""
    found = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    for each in found:
        if not VERSION.fullmatch(each):
            raise BadInput(f"{flag} {each}: that is no version", f"write major and minor number, as in {flag} 5.2,6.0")
    return found


def make(environment: Environment, *, offline: bool = False) -> str:
    """Make an environment unless it is there; its interpreter.

    Raises Unavailable where this Django does not run under this Python, ToolMissing without uv, BadInput when it is not
    there and `offline` forbids to make it.
    """
    if offline and not environment.there:
        raise BadInput(f"there is no environment with {environment} yet", "leave --offline out once, to make it")
    if not environment.there:
        install(environment.key, environment.python, [f"django=={environment.django}.*", *HOLDS])
    cache.used(environment.key)
    return environment.executable


def install(key: str, python: str, wanted: Sequence[str]) -> str:
    """Make the environment `key` with these requirements, unless it is there; its interpreter. Raises as `make`."""

    def build(stage: Path) -> None:
        uv, inside = find_uv(), stage / "env"
        cache.prune(PREFIX, most=MOST)  # old ones go when a new one comes
        try:
            _run([uv, "venv", "--quiet", "--relocatable", "--python", find_python(python), str(inside)])
        except ToolMissing as error:
            raise Unavailable(f"there is no Python {python} here, and {error.message}") from None
        _run([uv, "pip", "install", "--quiet", "--python", str(inside / "bin" / "python"), *wanted])
        for each in inside.iterdir():
            each.rename(stage / each.name)
        inside.rmdir()

    return str(cache.publish(key, build) / "bin" / "python")


def find_uv() -> str:
    """The program; raises ToolMissing."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if found is None:
        raise ToolMissing("uv is not installed, which makes the environments", remedy("uv"))
    return found


def find_python(version: str) -> str:
    """An interpreter of that version on this machine, else the version, which uv may know how to get."""
    for path in (shutil.which(f"python{version}"), *_pyenv(version), sys.executable):
        if path and _is(path, version):
            return path
    return version


def _pyenv(version: str) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [str(path / "bin" / "python") for path in sorted(root.glob(f"{version}.*"), reverse=True)]


def _is(path: str, version: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([path, "-I", "-c", program], capture_output=True, text=True, timeout=SEARCH, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return asked.stdout.strip() == version


def _run(command: Sequence[str]) -> None:
    try:
        done = process.captured(command, TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"uv could not make an environment: {error}", "see that it works on this machine") from None
    if done.returncode:
        said = " ".join(done.stderr.split())
        if OLD.search(said):
            raise Unavailable(textwrap.shorten(said[said.find("Because") :], 200, placeholder=" …"))
        raise ToolMissing(f"uv could not make an environment: {said[:300]}", "check the network and the index")
