"""The pytest plugin: a rig for tests, and `pytest -m chaos --engine my.backend` in any project.

Each `--engine` adds one test per promise, and one for the random search; they need no test file. A claimed promise
that is broken fails its test and prints the command that replays it. What only the lab's own tests need is elsewhere.

Fixtures: `rig` (the running servers), `zygotes` (subjects by variant), `lab_seed` and `lab_profile`.
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, cast

import pytest

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.explore.profiles import Profile
    from lab.explore.search import Searched
    from lab.promise import Promise
    from lab.records.result import PromiseResult, Result
    from lab.records.variant import Variant
    from lab.rig.rig import Rig
    from lab.subject.handle import Zygote

# What imports Hypothesis or a driver is imported where it is used: the plugin is loaded by every pytest run of an
# environment in which the lab is installed.


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("connection lab", "connection lab: promises of Django database backends under faults")
    group.addoption(
        "--engine", action="append", default=[], metavar="ENGINE", help="a variant or ENGINE to judge (repeatable)"
    )
    group.addoption("--lab-driver", choices=["psycopg2", "psycopg"], default=None, help="driver for --engine")
    group.addoption("--lab-python", default="", metavar="EXE", help="interpreter for --engine")
    group.addoption("--lab-path", action="append", default=[], metavar="DIR", help="import path for --engine")
    group.addoption(
        "--lab-setting", action="append", default=[], metavar="KEY=JSON", help="DATABASES entry (repeatable)"
    )
    group.addoption("--lab-option", action="append", default=[], metavar="KEY=JSON", help="OPTIONS entry (repeatable)")
    group.addoption("--lab-settings", default="", metavar="MODULE", help="a project's settings to judge")
    group.addoption("--lab-alias", default="default", metavar="ALIAS", help="which of its DATABASES")
    group.addoption("--lab-promise", action="append", default=[], metavar="ID", help="only this promise (repeatable)")
    group.addoption(
        "--lab-seed", type=int, default=None, metavar="N", help="seed of the random search (default: random)"
    )
    group.addoption("--lab-profile", default="", metavar="NAME", help="dev, ci or nightly (default: $LAB_PROFILE)")
    group.addoption("--lab-budget", type=float, default=None, metavar="SECONDS", help="random search of each --engine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: judges variants under real faults on a rig (`-m chaos`)")
    try:
        config.stash[LAB] = Lab(config)
    except LabError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_unconfigure(config: pytest.Config) -> None:
    if LAB in config.stash:
        config.stash[LAB].close()


def pytest_report_header(config: pytest.Config) -> str:
    lab = config.stash[LAB]
    return f"connection lab: profile {lab.profile.name}, --lab-seed={lab.seed}, python {platform.python_version()}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if versions := config.stash[LAB].versions:
        terminalreporter.write_line("connection lab: " + ", ".join(f"{k} {v}" for k, v in versions.items()))


@pytest.hookimpl(tryfirst=True)  # before -m and -k choose among them
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for variant in config.stash[LAB].variants:
        items.extend(Judged.from_parent(session, name=variant.name, nodeid=variant.name, variant=variant).collect())


class Lab:
    """One test session's lab: what was asked for, and the servers once somebody needs them."""

    def __init__(self, config: pytest.Config) -> None:
        from lab.explore.profiles import profile

        seed = config.getoption("--lab-seed")
        worker = getattr(config, "workerinput", {})  # xdist: all workers search from the seed of the first process
        self.seed: int = seed if seed is not None else worker.get("lab_seed", secrets.randbelow(1 << 32))
        self.profile: Profile = profile(config.getoption("--lab-profile"))
        budget = config.getoption("--lab-budget")
        self.budget: float = self.profile.seconds if budget is None else budget
        self.variants = _variants(config)
        self.promises: list[Promise] = _promises(config) if self.variants else []
        self.versions: dict[str, str] = {}
        self._exit = ExitStack()
        self._rig: Rig | None = None
        self._zygotes: dict[str, Zygote] = {}
        self._results: dict[str, Result] = {}

    def rig(self) -> Rig:
        """The session's rig, started on first use; where it cannot be, the whole run ends with one line."""
        if self._rig is None:
            from lab.rig.rig import Rig

            try:
                self._rig = self._exit.enter_context(Rig())
            except LabError as error:
                pytest.exit(f"the lab has no rig: {error}", returncode=error.status)
            self.versions = self._rig.versions()
        return self._rig

    def zygote(self, variant: Variant) -> Zygote:
        """The subject of a variant, started on first use. Raises EngineUnusable."""
        from lab.records.codec import encode
        from lab.subject.handle import Zygote

        key = encode(variant).decode()
        if key not in self._zygotes:
            rig = self.rig()
            self._zygotes[key] = self._exit.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
        return self._zygotes[key]

    def result(self, variant: Variant) -> Result:
        """The directed plans' verdicts on a variant; they are run once, side by side."""
        if variant.name not in self._results:
            from lab.check import Options, check
            from lab.store import Store, default_root

            options = Options(promises=tuple(each.id for each in self.promises), seed=self.seed, search=0.0)
            (self._results[variant.name],) = check([variant], self.rig(), options, Store(default_root()))
        return self._results[variant.name]

    def searched(self, variant: Variant) -> Searched:
        """A random search for claimed promises of a variant that the directed plans did not break."""
        from lab.explore.profiles import example_database
        from lab.explore.search import search
        from lab.records.verdict import Verdict

        known = {name for name, one in self.result(variant).promises.items() if one.verdict is Verdict.BROKEN}
        return search(
            variant,
            self.rig(),
            self.zygote(variant),
            seed=self.seed,
            max_examples=self.profile.examples,
            budget_seconds=self.budget,
            database=example_database(),
            promises=self.promises,
            exclude={*known, *(each.id for each in self.promises if not variant.claimed(each.id))},
        )

    def close(self) -> None:
        """End subjects and servers."""
        self._exit.close()


LAB = pytest.StashKey[Lab]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """xdist: a worker draws from the seed that the header shows."""
    workerinput: dict[str, object] = node.workerinput  # type: ignore[attr-defined]
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    workerinput["lab_seed"] = config.stash[LAB].seed


# -- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Lab:
    """This session's lab."""
    return pytestconfig.stash[LAB]


@pytest.fixture(scope="session")
def rig(lab: Lab) -> Iterator[Rig]:
    """One rig for the whole session (per worker): tests hold `rig.shared()` or `rig.exclusive()` as plans do."""
    yield lab.rig()


@pytest.fixture(scope="session")
def lab_seed(lab: Lab) -> int:
    """The seed in the header."""
    return lab.seed


@pytest.fixture(scope="session")
def lab_profile(lab: Lab) -> Profile:
    """How much is to be searched."""
    return lab.profile


# -- tests of --engine ------------------------------------------------------------------------------------------------


class PromiseBroken(Exception):
    """A claimed promise is broken; the text is the whole report."""


class Judged(pytest.Collector):
    """The tests of one `--engine`: they exist without a file."""

    def __init__(self, *, variant: Variant, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.variant = variant

    def collect(self) -> list[pytest.Item]:
        """One item for each promise, then the search."""
        items: list[pytest.Item] = [
            PromiseItem.from_parent(self, name=promise.id, promise=promise)
            for promise in self.session.config.stash[LAB].promises
        ]
        return [*items, SearchItem.from_parent(self, name="random")]


class LabItem(pytest.Item):
    """A test that the plugin brings along."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.add_marker("chaos")
        self.lab = self.config.stash[LAB]
        self.variant = cast(Judged, self.parent).variant

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it stands in a report."""
        return self.variant.name, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The report of a broken promise, one line for what stops the lab, a traceback for a bug of ours."""
        if isinstance(excinfo.value, PromiseBroken | LabError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))


class PromiseItem(LabItem):
    """One promise's directed plans."""

    def __init__(self, *, promise: Promise, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.promise = promise

    def runtest(self) -> None:
        """Fail when it is claimed and broken, skip when it does not apply or nothing was seen of it."""
        from lab.records.verdict import Verdict

        result = self.lab.result(self.variant).promises.get(self.promise.id)
        if result is None or result.verdict in (Verdict.NA, Verdict.UNKNOWN):
            pytest.skip(f"{result.verdict}: {result.summary}" if result else "it has no plans")
        if result.verdict is Verdict.BROKEN:
            report = _report(self.variant, self.promise, result)
            if not result.claimed:
                pytest.xfail(report)
            raise PromiseBroken(report)


class SearchItem(LabItem):
    """Random plans, for what no directed plan has thought of."""

    def runtest(self) -> None:
        """Fail with every promise that the search broke, each with its shrunk plan."""
        from lab.store import Store, default_root

        searched = self.lab.searched(self.variant)
        if not searched.found:
            return
        folder = Store(default_root()).open(self.variant.name, self.lab.seed)
        lines = [f"random plans break promises of {self.variant.name} (--lab-seed={searched.seed}):"]
        for found in searched:
            agreed = {found.promise: f"{found.agreed} of {found.replays} replays"}
            path = folder.keep(f"random-{found.promise}", found.record, found.findings, agreed)
            lines += [f"  {found.promise}: {found.finding.summary} ({agreed[found.promise]})", f"    lab replay {path}"]
        raise PromiseBroken("\n".join(lines))


def _report(variant: Variant, promise: Promise, result: PromiseResult) -> str:
    lines = [f"{variant.name} breaks {promise.id}: {promise.sentence}", f"  {result.summary}"]
    lines += [f"  {moment}: {verdict}" for moment, verdict in result.moments.items()]
    return "\n".join([*lines, *(f"  lab replay {path}" for path in result.evidence[:3])])


def _variants(config: pytest.Config) -> list[Variant]:
    names, settings = config.getoption("--engine"), config.getoption("--lab-settings")
    if not names and not settings:
        return []
    from lab.cli.options import variants_of

    return variants_of(
        names,
        path=config.getoption("--lab-path"),
        driver=config.getoption("--lab-driver"),
        python=config.getoption("--lab-python"),
        setting=config.getoption("--lab-setting"),
        option=config.getoption("--lab-option"),
        settings=settings,
        alias=config.getoption("--lab-alias"),
    )


def _promises(config: pytest.Config) -> list[Promise]:
    from lab.promise import PROMISES

    names = config.getoption("--lab-promise")
    return [PROMISES.get(name) for name in names] if names else PROMISES.values()
