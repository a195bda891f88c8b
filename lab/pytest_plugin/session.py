"""One test session's lab: what was asked for, and the servers once a test needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing

import pytest

from lab.check.check import Options, check
from lab.check.claims import from_project
from lab.check.fit import fitted
from lab.check.lanes import SLOTS
from lab.cli.options import variants_of
from lab.cli.reports import KINDS, chosen_reports, write_reports
from lab.errors import LabError
from lab.explore.profiles import profile
from lab.explore.search import OnCase, Searched, search
from lab.promise import PROMISES, Promise
from lab.pytest_plugin.items import Judged
from lab.records.codec import encode
from lab.records.result import Result
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.terminal import console
from lab.rig.base import BaseRig
from lab.rig.rigs import apart, chosen, open_rig
from lab.store import Store, default_root
from lab.subject import nursery
from lab.subject.handle import Zygote


def open_lab(config: pytest.Config, seed: int) -> Lab:
    """The lab that the command line asks for; raises pytest.UsageError."""
    try:
        return Lab(config, seed)
    except LabError as error:
        raise pytest.UsageError(str(error)) from None


class Lab:
    """Rig, subjects and verdicts, each made on first use and kept until the session ends."""

    def __init__(self, config: pytest.Config, seed: int) -> None:
        names: list[str] = config.getoption("--lab-promise")
        budget: float | None = config.getoption("--lab-budget")
        self.seed = seed
        self.profile = profile(config.getoption("--lab-profile"))
        self.examples = self.profile.settings().database
        self.budget = self.profile.seconds if budget is None else budget
        self.promises: list[Promise] = [PROMISES.get(name) for name in names] if names else PROMISES.values()
        self.allowed = _allowed(config.getoption("--lab-allow-unknown"))
        self.claims = from_project(config.rootpath)
        self.versions: dict[str, str] = {}
        self.engines = _engines(config)
        self._reports = chosen_reports(config.getoption("--lab-report"), KINDS)
        self._exit = ExitStack()
        self._rig: BaseRig | None = None
        self._zygotes: dict[bytes, Zygote] = {}
        self._results: dict[str, Result] = {}

    def items(self, session: pytest.Session) -> list[pytest.Item]:
        """The tests of each `--lab-engine`."""
        return [
            item
            for variant in self.engines
            for item in Judged.from_parent(
                session, name=variant.name, nodeid=variant.name, lab=self, variant=variant
            ).collect()
        ]

    def rig(self) -> BaseRig:
        """The session's rig; where there can be none, the whole run ends with one line."""
        if self._rig is None:
            try:
                self._rig = self._exit.enter_context(open_rig(chosen(), max_connections=SLOTS))
            except LabError as error:
                pytest.exit(f"the lab has no rig: {error}", returncode=error.status)
            self._exit.enter_context(nursery.kept(self._rig.folder, self._rig.environ()))
            self.versions = self._rig.versions()
        return self._rig

    def zygote(self, variant: Variant) -> Zygote:
        """The subject of a variant. Raises EngineUnusable."""
        key = encode(variant)
        if key not in self._zygotes:
            rig = self.rig()
            self._zygotes[key] = self._exit.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
        return self._zygotes[key]

    def results(self, variants: Sequence[Variant], *, brief: bool = False) -> dict[str, Result]:
        """The verdicts of all directed plans on each of `variants`, by name; they run once, and side by side.

        `brief`: without further plans for what is known to be broken, and without the cuts.
        """
        missing = [variant for variant in variants if variant.name not in self._results]
        if missing:
            names = tuple(each.id for each in self.promises)
            options = Options(
                promises=names, seed=self.seed, search=0.0, cuts=not brief, brief=brief, claims=self.claims
            )
            with apart(self.rig()) as second:
                results = check(missing, self.rig(), options, Store(default_root()), apart=second)
            self._results.update((variant.name, result) for variant, result in zip(missing, results, strict=True))
        return {variant.name: self._results[variant.name] for variant in variants}

    def result(self, variant: Variant) -> Result:
        """The same for one of them; all that `--lab-engine` names are judged together."""
        others = [each for each in self.engines if each.name != variant.name]
        return self.results([variant, *others])[variant.name]

    def broken(self, variant: Variant) -> set[str]:
        """The promises that the directed plans break."""
        return {name for name, one in self.result(variant).promises.items() if one.verdict is Verdict.BROKEN}

    def search(
        self,
        variant: Variant,
        *,
        promises: Iterable[Promise] | None = None,
        exclude: Iterable[str] = (),
        most: int | None = None,
        seconds: float | None = None,
        unaided: bool = False,
        seed: int | None = None,
        on_case: OnCase | None = None,
    ) -> Searched:
        """A random search from `seed`, else the session's, within the profile's bounds or `seconds`.

        `unaided`: without what earlier searches found.
        """
        zygote = self.zygote(variant)
        return search(
            variant,
            self.rig(),
            zygote,
            seed=self.seed if seed is None else seed,
            max_examples=self.profile.examples,
            budget_seconds=self.budget if seconds is None else seconds,
            database=None if unaided else self.examples,
            promises=self.promises if promises is None else promises,
            exclude=exclude,
            most=most,
            on_case=on_case,
            fit=lambda plan: fitted("", plan, zygote.traits),
        )

    def report(self, suffix: str) -> None:
        """Write the reports of what was judged; `suffix` tells those of several processes apart."""
        if self._reports and self._results:
            results = list(self._results.values())
            write_reports(self._reports, results, default_root(), console(), console(stderr=True), suffix)

    def close(self) -> None:
        """End subjects and servers."""
        self._exit.close()


def _allowed(names: list[str]) -> frozenset[str]:
    """Tests that may be unknown: promises, or `random`; raises UnknownName."""
    for name in names:
        if name != "random":
            PROMISES.get(name)
    return frozenset(names)


def _engines(config: pytest.Config) -> list[Variant]:
    names = [*config.getoption("--lab-engine"), *config.getoption("--engine")]
    settings = config.getoption("--lab-settings")
    if not names and not settings:
        return []
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
