"""One case: run it, judge it, run it again where it proved nothing or broke something, and store what it showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.check.cases import Case
from lab.check.claims import claimed
from lab.check.subjects import Later
from lab.errors import AddressRefused, BadInput, EngineUnusable
from lab.judging.judge import cause, judge
from lab.promise import Promise
from lab.records.plan import Plan
from lab.records.record import Record
from lab.records.secret import mask_text
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.store import CheckFolder
from lab.subject.handle import Zygote

CONFIRM = 1
"""Further runs of a plan that broke a promise."""
DOUBT = 3
"""Runs beyond CONFIRM where those runs do not all agree, none of them counted, or what broke may have been chance."""
NOT_RUN = "not run: the budget was spent"


@dataclass(frozen=True)
class Entry:
    """A variant under check: its zygote, where its evidence goes, and the promises that are asked about.

    `others` are zygotes for plans that change the variant's settings, each with the variant as it is there; they
    are started when a plan of theirs is reached. `brief`: one confirmed moment of a promise is enough.
    """

    variant: Variant
    zygote: Zygote
    folder: CheckFolder
    promises: tuple[Promise, ...]
    others: tuple[Later, ...] = ()
    brief: bool = False
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    """Broken promises with the moments at which a second run has agreed; shared by the check's threads."""

    def zygote_of(self, plan: Plan) -> Zygote:
        """The one that runs the plan's variant."""
        return next((other.zygote() for other in self.others if other.variant == plan.variant), self.zygote)

    def ready(self, case: Case) -> bool:
        """Whether nothing has to be waited for: its zygote runs, or nobody asks for the case any more."""
        if self.brief and self.settled(case):
            return True
        return all(other.ready() for other in self.others if other.variant == case.plan.variant)

    def in_doubt(self, shown: set[tuple[str, str]]) -> bool:
        """Whether any of these promises has to be seen broken at its moment a second time.

        Not in a brief check where a second run has agreed at another moment that counts as much: more of the same makes
        no other verdict of it.
        """
        new = shown - self.confirmed
        if not self.brief:
            return bool(new)
        counts = [(promise, claimed(self.variant, promise, moment)) for promise, moment in self.confirmed.copy()]
        return any((promise, self.variant.claimed(promise)) not in counts for promise, _ in new)

    def settled(self, case: Case) -> bool:
        """Whether every promise that asked for the case is known to be broken, at some moment."""
        return set(case.promises) <= {promise for promise, _ in self.confirmed.copy()}

    @property
    def ids(self) -> frozenset[str]:
        """The identifiers of the promises that are asked about."""
        return frozenset(promise.id for promise in self.promises)


@dataclass(frozen=True)
class Agreement:
    """How many of a plan's counted runs broke a promise."""

    broken: int
    runs: int

    @property
    def unanimous(self) -> bool:
        """Whether all say the same."""
        return self.broken == self.runs

    def __str__(self) -> str:
        if self.runs == 1:
            return "seen once"
        if self.unanimous:
            return f"{self.broken} of {self.runs} runs agree"
        return f"only {self.broken} of {self.runs} runs agree: the lab is flaky here"


@dataclass(frozen=True)
class Trial:
    """What one case showed: the finding of each promise, the worst of all its runs.

    `runs` counts its runs, `void` those that proved nothing. `evidence` is the path of the stored plan where it
    broke something or stayed void, `missing` why there is no counted run, `errors` what the application saw
    where a promise was broken.
    """

    case: Case
    findings: tuple[Finding, ...] = ()
    runs: int = 0
    void: int = 0
    cause: str = ""
    evidence: str = ""
    agreement: dict[str, Agreement] = field(default_factory=dict)
    missing: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def finding(self, promise: str) -> Finding:
        """What it says of one promise; unknown where it did not come to a run."""
        found = (finding for finding in self.findings if finding.promise == promise)
        return next(found, Finding(promise=promise, verdict=Verdict.UNKNOWN, summary=self.missing))

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that it broke."""
        return tuple(finding.promise for finding in self.findings if finding.verdict is Verdict.BROKEN)


class Trials:
    """Runs cases on one rig; used by many threads."""

    def __init__(self, rig: RigProtocol) -> None:
        self._rig = rig
        self._log = rig.log

    def trial(self, case: Case, entry: Entry) -> Trial:
        """Run a case until it proves something, twice at most; confirm what it is the first to break at a moment.

        Every run is counted. Raises StoreUnwritable, SubjectLost.
        """
        start = self._log.log_offset() if self._log else 0
        try:
            record, first, before = self._telling(case, entry)
        except (AddressRefused, EngineUnusable):
            raise
        except BadInput as refusal:  # this rig cannot do it: said, not hidden
            return Trial(case, missing=f"not run: {refusal}")
        runs = [] if record.void else [first]
        void = sum(bool(each.void) for each in (*before, record))
        spent = len(before) + 1
        shown = {(promise, case.moment(promise)) for promise in asked(first, entry.ids)}
        if entry.in_doubt(shown):
            more, more_void, tapped = self._confirm(case.plan, entry, first)
            record = tapped or record  # its findings come first then: they name the steps of what is stored
            runs = more + runs if tapped else runs + more
            void, spent = void + more_void, spent + len(more) + more_void
            if more and all(asked(findings, entry.ids) == asked(first, entry.ids) for findings in more):
                entry.confirmed.update(shown)
        findings = merge(runs) if runs else first
        agreement = _agreement(findings, runs)
        return Trial(
            case=case,
            findings=findings,
            runs=spent,
            void=void,
            cause=cause(findings),
            evidence=self._store(case, entry, record, findings, agreement, start),
            agreement=agreement,
            errors={each.promise: _error(record, each) for each in findings if each.verdict is Verdict.BROKEN},
        )

    def _telling(self, case: Case, entry: Entry) -> tuple[Record, tuple[Finding, ...], list[Record]]:
        """The first of at most two runs that proves something, else the second; its findings, and the runs before it.

        A void run proves nothing, nor does one that did not put at stake what the plan was made for: a machine that
        is busy can do that to a plan.
        """
        before: list[Record] = []
        while True:
            record = run(case.plan, self._rig, entry.zygote_of(case.plan))
            findings = judge(record)
            unseen = {each.promise for each in findings if each.verdict is Verdict.UNKNOWN}
            tells = not record.void and (asked(findings, entry.ids) or not unseen & dict(case.made_for).keys())
            if tells or before:
                return record, findings, before
            before.append(record)

    def _store(
        self,
        case: Case,
        entry: Entry,
        record: Record,
        findings: tuple[Finding, ...],
        agreement: dict[str, Agreement],
        start: int,
    ) -> str:
        """Keep a run; the path of its plan where it is evidence, else ""."""
        if not record.void and not asked(findings, entry.ids):
            entry.folder.note(record, findings)
            return ""
        phrases = {promise: str(agreed) for promise, agreed in agreement.items()}
        return str(
            entry.folder.keep(
                case.name, record, findings, phrases, self._server_log(record, start, entry.zygote.secrets)
            )
        )

    def _confirm(
        self, plan: Plan, entry: Entry, first: tuple[Finding, ...]
    ) -> tuple[list[tuple[Finding, ...]], int, Record | None]:
        """The findings of further runs, and how many of those were void.

        More runs are made if runs disagree or a finding is `by_chance`.

        The first of them runs behind the wire tap. Where every promise comes to the same there, that run is returned to
        be stored instead: the same evidence, with what crossed the wire.
        """
        counted: list[tuple[Finding, ...]] = []
        void = 0
        chance = any(each.by_chance and each.verdict is Verdict.BROKEN for each in first)
        wanted = CONFIRM + DOUBT if chance else CONFIRM
        tapped: Record | None = None
        while len(counted) + void < wanted:
            tap = not counted and not void
            record = run(plan, self._rig, entry.zygote_of(plan), wire=tap)
            if record.void:
                void += 1
            else:
                counted.append(judge(record))
                if tap and verdicts(counted[0]) == verdicts(first):
                    tapped = record
            disagree = any(asked(findings, entry.ids) != asked(first, entry.ids) for findings in counted)
            if disagree or not counted:
                wanted = CONFIRM + DOUBT
        return counted, void, tapped

    def _server_log(self, record: Record, start: int, secrets: Sequence[str]) -> str:
        """The server's lines about this run's sessions, and those about itself, since `start`."""
        if self._log is None:
            return ""
        mine = f"app=lab-{record.run}"
        lines = self._log.log_slice(start).splitlines(keepends=True)
        said = "".join(line for line in lines if mine in line or "app=" not in line)
        return mask_text(said, secrets)


def _error(record: Record, finding: Finding) -> str:
    """Class and first line of the error at the step that shows the finding, else of the run's first.

    Of its first cause, which is the driver's own.
    """
    failed = [op for op in record.ops if op.chain]
    if not failed:
        return ""
    chain = next((op for op in failed if op.step in finding.steps), failed[0]).chain
    name, text = chain[-1].cls.rpartition(".")[2], chain[-1].text.partition("\n")[0]
    return f"{name}: {text}" if text else name


def asked(findings: Iterable[Finding], ids: frozenset[str]) -> frozenset[str]:
    """Which of the promises that are asked about these findings call broken."""
    return frozenset(each.promise for each in findings if each.verdict is Verdict.BROKEN and each.promise in ids)


def verdicts(findings: Iterable[Finding]) -> dict[str, Verdict]:
    """What each promise came to in one run."""
    return {each.promise: each.verdict for each in findings}


def merge(runs: Sequence[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """The findings of several runs of one plan as one: the first run's, unless a later one broke what it did not.

    A promise is unknown where not all runs broke it, and each of those that did says `by_chance`.
    """
    merged = {finding.promise: finding for finding in runs[0]}
    for findings in runs[1:]:
        for finding in findings:
            if finding.verdict is Verdict.BROKEN and merged[finding.promise].verdict is not Verdict.BROKEN:
                merged[finding.promise] = finding
    for promise in merged:
        broken = [each for run in runs for each in run if each.promise == promise and each.verdict is Verdict.BROKEN]
        if 0 < len(broken) < len(runs) and all(each.by_chance for each in broken):
            why = f"{broken[0].summary}, but in {len(broken)} of {len(runs)} runs: it may have been by chance"
            merged[promise] = Finding(promise=promise, verdict=Verdict.UNKNOWN, summary=why)
    return tuple(merged.values())


def _agreement(findings: tuple[Finding, ...], runs: Sequence[tuple[Finding, ...]]) -> dict[str, Agreement]:
    votes = Counter(finding.promise for run in runs for finding in run if finding.verdict is Verdict.BROKEN)
    broken = (finding.promise for finding in findings if finding.verdict is Verdict.BROKEN)
    return {promise: Agreement(votes[promise], len(runs)) for promise in broken}
