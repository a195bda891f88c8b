"""The developer's own application under cuts and orders, in the developer's own test process.

    def test_order_once(shop, client, every_cut):
        every_cut(lambda: client.post("/orders/", {"sku": "a", "n": 1}), books)

Everything else of the lab is loaded when the first such test begins: every pytest run loads this file where the lab is
installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from lab.application.failure import Broken, Outcome
    from lab.application.server import OwnServer
    from lab.application.session import Session

FIXTURES = ("every_cut", "every_order")
GUARD = "lab_refusal"
SAID = "connection lab"
"""The user property by which a test's line comes from a worker to the terminal."""

SESSION: pytest.StashKey[Session] = pytest.StashKey()
SERVER: pytest.StashKey[OwnServer] = pytest.StashKey()
WHERE: pytest.StashKey[Mapping[str, Any]] = pytest.StashKey()


def add_options(group: pytest.OptionGroup) -> None:
    """What every_cut and every_order can be told on the command line."""
    add = group.addoption
    add("--lab-cut", default="", metavar="'MOMENT WAY'", help="every_cut: this one cut alone, told")
    add("--lab-order", default="", metavar="LETTERS", help="every_order: this one order alone, told")
    add("--lab-every", default="statement", metavar="statement|message", help="every_cut: where to cut")
    add("--lab-ways", default="fin", metavar="WAY,…", help="every_cut: fin, rst, kill, drop-reply, stall")
    add("--lab-preemptions", type=int, default=None, metavar="N", help="every_order: at most so many switches")
    add(
        "--lab-bound",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long a request may wait for a silent server",
    )
    add("--lab-only", action="store_true", help="run only tests that use every_cut or every_order")
    add("--lab-postgres", action="store_true", help="run the whole suite on a PostgreSQL server of the lab's own")


def choose_driver(chosen: str | None) -> None:
    """Have Django use this driver, before anything of it is imported. Raises pytest.UsageError when it is too late."""
    if chosen == "psycopg2":
        if sys.modules.get("psycopg") is not None:
            raise pytest.UsageError(
                "--lab-driver psycopg2 comes too late, psycopg is imported already; give -p lab.pytest_plugin as well"
            )
        sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django prefers psycopg where it can import it


def configure(config: pytest.Config) -> None:
    """Start the lab's own server where one is wanted."""
    worker = getattr(config, "workerinput", {})
    if "lab_postgres" in worker:
        config.stash[WHERE] = worker["lab_postgres"]
    elif config.getoption("--lab-postgres"):
        from lab.application import server  # noqa: PLC0415
        from lab.errors import LabError  # noqa: PLC0415

        try:
            config.stash[SERVER] = server.OwnServer()
        except LabError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[WHERE] = dict(config.stash[SERVER].where)


def configure_node(node: Any) -> None:
    """Tell an xdist worker where the lab's own server is."""
    if WHERE in node.config.stash:
        node.workerinput["lab_postgres"] = node.config.stash[WHERE]


def unconfigure(config: pytest.Config) -> None:
    """End the tap and the server."""
    if SESSION in config.stash:
        config.stash[SESSION].close()
    if SERVER in config.stash:
        config.stash[SERVER].close()


def start(config: pytest.Config) -> None:
    """Before test databases are made: lead them to the lab's own server, and take down which ones this run makes."""
    settings = sys.modules.get("django.conf")
    if settings is None or not settings.settings.configured:
        return
    from lab.application.made import watch  # noqa: PLC0415

    watch()
    if WHERE in config.stash:
        from lab.application.server import lead  # noqa: PLC0415

        lead(config.stash[WHERE])


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave only the tests that cut or order, where nothing else was asked for."""
    if config.getoption("--lab-only"):
        ours = [item for item in items if GUARD in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in ours])
        items[:] = ours


def prepare_item(item: pytest.Item) -> None:
    """A test that cuts has real transactions, and its database is looked at before pytest-django begins with it."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is not None and any(name in names for name in FIXTURES):
        names.insert(0, GUARD)
        if "transactional_db" not in names:
            names.append("transactional_db")


def header(config: pytest.Config) -> list[str]:
    """The driver that Django has chosen, and the lab's own server, where Django is in use."""
    django = sys.modules.get("django.conf")
    if django is None or not django.settings.configured:
        return []
    where = f", PostgreSQL {config.stash[WHERE]['postgresql']} of the lab's own" if WHERE in config.stash else ""
    return [f"connection lab: driver {_driver()}{where}"]


def _driver() -> str:
    """What Django uses for PostgreSQL, without importing it where nobody has."""
    from importlib.util import find_spec  # noqa: PLC0415

    for name in ("psycopg", "psycopg2"):
        if name in sys.modules:
            if sys.modules[name] is not None:
                return f"{name} {getattr(sys.modules[name], '__version__', '')}".split(" (")[0].strip()
        elif find_spec(name) is not None:
            return name
    return "none"


def summary(terminalreporter: Any) -> None:
    """One line for each test that passed, and the stories that were asked for."""
    lines = [
        (report.nodeid, value)
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", ())
        if name == SAID and report.when == "call"
    ]
    if lines:
        terminalreporter.section("connection lab", sep="-")
    for test, value in lines:
        terminalreporter.write_line(f"{test}: {value}")


@pytest.fixture
def lab_refusal(request: pytest.FixtureRequest) -> None:
    """Refuse a database that this run has not made, before pytest-django would empty it."""
    if not request.config.pluginmanager.hasplugin("django"):
        _fail("every_cut and every_order need pytest-django; install it, or use lab.application without pytest")
    from lab.application import refusals  # noqa: PLC0415
    from lab.errors import LabError  # noqa: PLC0415

    try:
        refusals.gevent()
        request.getfixturevalue("django_db_setup")
        for alias in aliases_of(request):
            refusals.vendor(alias)
            refusals.made_by_run(alias)
    except LabError as error:
        _fail(str(error))


@pytest.fixture
def every_cut(request: pytest.FixtureRequest, lab_refusal: None) -> Callable[..., None]:  # noqa: ARG001
    """`every_cut(call, invariant=None, *, before, then, retry, atomic, ignore, ways, every)`: see lab.application."""
    from lab.application.cuts import every_cut as run  # noqa: PLC0415

    return _runner(request, run)


@pytest.fixture
def every_order(request: pytest.FixtureRequest, lab_refusal: None) -> Callable[..., None]:  # noqa: ARG001
    """`every_order(call, call[, call], invariant=None, *, before, preemptions, errors, ignore)`: see the same."""
    from lab.application.orders import every_order as run  # noqa: PLC0415

    return _runner(request, run)


def _runner(request: pytest.FixtureRequest, run: Callable[..., Outcome]) -> Callable[..., None]:
    from lab.application.failure import Broken  # noqa: PLC0415
    from lab.errors import LabError  # noqa: PLC0415

    def judge(*calls: Any, **arguments: Any) -> None:
        __tracebackhide__ = True
        session = _session(request.config)
        session.test = request.node.nodeid
        try:
            outcome = run(session, *calls, aliases=aliases_of(request), **arguments)
        except Broken as broken:
            text = "\n".join([str(broken), *_evidence(session, broken)])
        except LabError as error:
            text = str(error)
        else:
            request.node.user_properties.append((SAID, "\n".join(filter(None, (outcome.line, outcome.told)))))
            return
        _fail(text)

    return judge


def _evidence(session: Session, broken: Broken) -> list[str]:
    """Store what was found and draw its page; in a line where that is."""
    if broken.found is None:
        return []
    from lab.application import evidence  # noqa: PLC0415
    from lab.errors import LabError  # noqa: PLC0415
    from lab.report.pages.own import draw_own  # noqa: PLC0415

    try:
        page = draw_own(evidence.keep(session.store, broken.found))
    except LabError as error:  # a full disk takes nothing away from what was found
        return ["", f"no page: {error}"]
    return ["", f"page: {min(os.path.relpath(page), str(page), key=len)}"]


def aliases_of(request: pytest.FixtureRequest) -> list[str]:
    """The databases that the test's mark names (default: the one)."""
    from django.db import DEFAULT_DB_ALIAS, connections  # noqa: PLC0415

    mark = request.node.get_closest_marker("django_db")
    asked = mark.kwargs.get("databases") if mark is not None else None
    if asked is None:
        return [DEFAULT_DB_ALIAS]
    return list(connections) if asked == "__all__" else list(asked)


def _session(config: pytest.Config) -> Session:
    if SESSION not in config.stash:
        from lab.application.session import Options, Session, every_of, pytest_command, ways_of  # noqa: PLC0415

        config.stash[SESSION] = Session(
            Options(
                root=config.rootpath,
                cut=config.getoption("--lab-cut"),
                order=config.getoption("--lab-order"),
                every=every_of(config.getoption("--lab-every")),
                ways=ways_of(config.getoption("--lab-ways")),
                preemptions=config.getoption("--lab-preemptions"),
                bound=config.getoption("--lab-bound"),
            ),
            replay=lambda *case: " ".join([pytest_command(*case), *_as_here(config)]),
        )
    return config.stash[SESSION]


def _as_here(config: pytest.Config) -> list[str]:
    """The options without which a replay would go to another server, or by another driver."""
    found = ["--lab-postgres"] if WHERE in config.stash else []
    if config.getoption("--lab-driver") == "psycopg2":
        found.append("--lab-driver psycopg2")
    return found


class Failed(pytest.fail.Exception):  # type: ignore[misc,name-defined]  # a function that has the class
    """A failure that is its text, and what others have noted on it, as Hypothesis does with its falsifying example."""

    __module__ = "builtins"  # as pytest's own has it: the summary says "Failed: every_cut: …"

    def __str__(self) -> str:
        return "\n".join([str(self.msg), *getattr(self, "__notes__", ())])


def _fail(text: str) -> NoReturn:
    __tracebackhide__ = True
    raise Failed(text, pytrace=False) from None
