"""A copy of the example shop, tests written into it, and pytest run on them in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from lab.application.server import OwnServer

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"
_OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED) (\S+?)(?: - .*)?$", re.MULTILINE)
_SECONDS = 600.0
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:faker", "-p", "no:hypothesispytest")
"""The last two would load a quarter of a second's worth of modules into each inner run, which uses nothing of them."""


@dataclass(frozen=True)
class Ran:
    """What a pytest run said."""

    text: str
    status: int

    @property
    def outcomes(self) -> dict[str, str]:
        """Each test's name and how it ended."""
        found = {name.rpartition("::")[2]: how.lower() for how, name in _OUTCOME.findall(self.text)}
        assert found, self.text
        return found

    def line(self, test: str) -> str:
        """The line that a passing test has in the summary."""
        for line in self.text.splitlines():
            if f"::{test}: every_" in line:
                return line.partition(": ")[2]
        raise AssertionError(f"no line of {test} in\n{self.text}")

    def report(self, test: str) -> str:
        """What is said of a failing test."""
        found = re.search(
            rf"^_+ {re.escape(test)} _+$(.*?)(?=^_{{3,}} |^-{{3,}} |^={{3,}} )", self.text, re.MULTILINE | re.DOTALL
        )
        assert found, self.text
        return found[1]


class Project:
    """A Django project in a folder of its own."""

    def __init__(self, folder: Path, where: Mapping[str, Any]) -> None:
        self.folder = folder
        self.where = where
        shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))

    def write(self, name: str, text: str) -> None:
        """Write a file of it."""
        (self.folder / name).write_text(dedent(text), encoding="utf-8")

    def database(self, name: str = "shop", **settings: Any) -> dict[str, Any]:
        """A DATABASES entry on the server that stands for the developer's."""
        where = self.where
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "HOST": where["host"],
            "PORT": str(where["port"]),
            "USER": where["user"],
            "PASSWORD": where["password"],
            **settings,
        }

    def environ(
        self, settings: Mapping[str, Any] | None = None, others: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """An environment in which the project's settings say this of its databases."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LAB_", "PYTEST_"))}
        default = self.database(**(settings or {}))
        return {**kept, "SHOP_DATABASE": json.dumps(default), "SHOP_DATABASES": json.dumps(dict(others or {}))}

    def pytest(
        self,
        *arguments: str,
        settings: Mapping[str, Any] | None = None,
        others: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run pytest in it."""
        argv = [sys.executable, "-m", "pytest", "-rA", "--nomigrations", *WITHOUT, *arguments]
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**self.environ(settings, others), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Ran(done.stdout, done.returncode)


BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    pass"


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Every processor has something else to do; what does it ends with this process, however that comes."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    yield
    for each in loops:
        each.kill()
        each.wait()


@pytest.fixture(scope="session")
def users_server() -> Iterator[OwnServer]:
    """A server that stands for the developer's: nothing in the inner run says that it is the lab's."""
    server = OwnServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, users_server: OwnServer) -> Project:
    """A fresh copy of the shop for each module of tests."""
    return Project(tmp_path_factory.mktemp("project") / "shop", users_server.where)


@pytest.fixture
def fresh_project(tmp_path: Path, users_server: OwnServer) -> Callable[[], Project]:
    """Copies for tests that change the project itself."""
    made: list[Project] = []

    def make() -> Project:
        made.append(Project(tmp_path / f"shop{len(made)}", users_server.where))
        return made[-1]

    return make
