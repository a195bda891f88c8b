"""The pytest plugin: a rig for tests, and `pytest -m chaos --engine my.backend` in any project.

Each `--engine` adds one test per promise, and one for the random search. These tests need no file. A claimed promise
that is broken fails its test, and the report holds the command that replays it.

Fixtures: `rig` (the running servers), `lab` (the same with its subjects), `lab_seed`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import pytest

from lab.pytest_plugin import application
from lab.pytest_plugin.application import every_cut, every_order, lab_refusal

if TYPE_CHECKING:
    from lab.pytest_plugin.session import Lab
    from lab.rig.base import BaseRig

__all__ = ["every_cut", "every_order", "lab", "lab_refusal", "lab_seed", "rig"]

SEED = pytest.StashKey[int]()
SESSION = pytest.StashKey["Lab"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flags of `lab check`; those that other plugins might take are prefixed."""
    group = parser.getgroup("connection lab", "connection lab: promises of Django database backends under faults")
    add = group.addoption
    add("--engine", action="append", default=[], metavar="ENGINE", help="judge this variant or ENGINE (repeatable)")
    add("--lab-driver", choices=["psycopg2", "psycopg"], default=None, help="its driver")
    add("--lab-python", default="", metavar="EXE", help="its interpreter")
    add("--lab-path", action="append", default=[], metavar="DIR", help="where it is imported from (repeatable)")
    add("--lab-setting", action="append", default=[], metavar="KEY=JSON", help="in its DATABASES entry (repeatable)")
    add("--lab-option", action="append", default=[], metavar="KEY=JSON", help="in its OPTIONS (repeatable)")
    add("--lab-settings", default="", metavar="MODULE", help="judge what a project's settings say")
    add("--lab-alias", default="default", metavar="ALIAS", help="which of its DATABASES")
    add("--lab-promise", action="append", default=[], metavar="ID", help="only this promise (repeatable)")
    add("--lab-seed", type=int, default=None, metavar="N", help="seed of random searches (default: a new one)")
    add(
        "--lab-profile", default="", metavar="NAME", help="dev, ci or nightly (default: $LAB_PROFILE, ci where CI=true)"
    )
    add("--lab-report", default="none", metavar="KINDS", help="html,junit,github,markdown of what --engine judged")
    add(
        "--lab-budget", type=float, default=None, metavar="SECONDS", help="length of a random search (default: profile)"
    )
    application.add_options(group)


@pytest.hookimpl(wrapper=True)  # around pytest-django's, which sets Django up and so imports a driver
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Choose the driver of the developer's own tests; a variant's is chosen in the variant's own process."""
    options = early_config.known_args_namespace
    if not (options.engine or options.lab_settings):
        application.choose_driver(options.lab_driver)
    yield


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed, which the header shows; under xdist the first process chooses for all."""
    config.addinivalue_line("markers", "chaos: judges variants under real faults on a rig (`-m chaos`)")
    given = config.getoption("--lab-seed")
    chosen = getattr(config, "workerinput", {}).get("lab_seed")
    config.stash[SEED] = next(seed for seed in (given, chosen, secrets.randbelow(1 << 32)) if seed is not None)
    application.configure(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell an xdist worker the seed."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput["lab_seed"] = config.stash[SEED]  # type: ignore[attr-defined]
    application.configure_node(node)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Django is set up by now, and no test database is made yet."""
    application.start(session.config)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of own views get what they need."""
    application.prepare_item(item)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Versions and the seed."""
    names = ("connection-lab", "django", "hypothesis")
    versions = ", ".join([*(f"{name} {_version(name)}" for name in names), f"--lab-seed={config.stash[SEED]}"])
    return [versions, *application.header(config)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What tests of own views have tried, and versions of the servers that ran, which are not known before they do."""
    application.summary(terminalreporter)
    if SESSION in config.stash and (versions := config.stash[SESSION].versions):
        found = ", ".join(f"{name} {number}" for name, number in versions.items())
        terminalreporter.write_line(f"rig: {found}; --lab-seed={config.stash[SEED]}")


@pytest.hookimpl(tryfirst=True)  # before -m and -k choose among them
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests of each `--engine`."""
    if config.getoption("--engine") or config.getoption("--lab-settings"):
        items.extend(_session(config).items(session))
    application.select(config, items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the reports that are asked for, in the process that has the verdicts."""
    if SESSION in session.config.stash:
        worker = getattr(session.config, "workerinput", {}).get("workerid", "")
        session.config.stash[SESSION].report(f"-{worker}" if worker else "")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers, if any were started."""
    if SESSION in config.stash:
        config.stash[SESSION].close()
    application.unconfigure(config)


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Lab:
    """This session's lab: rig, subjects, profile and seed."""
    return _session(pytestconfig)


@pytest.fixture(scope="session")
def rig(lab: Lab) -> BaseRig:
    """One rig for the whole session (per worker): tests hold `rig.shared()` or `rig.exclusive()` as plans do."""
    return lab.rig()


@pytest.fixture(scope="session")
def lab_seed(pytestconfig: pytest.Config) -> int:
    """The seed in the header."""
    return pytestconfig.stash[SEED]


def _session(config: pytest.Config) -> Lab:
    if SESSION not in config.stash:
        # Late: every pytest run loads the plugin where the lab is installed, and few need Hypothesis and drivers.
        from lab.errors import without_driver  # noqa: PLC0415

        try:
            from lab.pytest_plugin.session import open_lab  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise pytest.UsageError(str(without_driver(error))) from None
        config.stash[SESSION] = open_lab(config, config.stash[SEED])
    return config.stash[SESSION]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
