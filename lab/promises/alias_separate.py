"""alias-separate: one entry of DATABASES must never get a session that was made for another one.

A store of sessions that is keyed by host, by user or by nothing serves the wrong database, the wrong role or the
settings of another alias: rows land in the wrong place without an error. The published snippet keeps one session for
all aliases.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judging.calls import FOREVER, Call
from lab.judging.lifetime import WORN, worn
from lab.judging.plan_parts import FIN, RST, TERMINATE, inject, keeps, on, only, request, several, test_runs
from lab.judging.session_state import difference, leave, looks, sets, state
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.landing import Landing
from lab.records.plan import (
    IN_TEST_DATABASE,
    TEST_DATABASE,
    Begin,
    End,
    Enter,
    Heal,
    Inject,
    Leave,
    Look,
    Plan,
    Read,
    Step,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding

DATABASES = {"default": "lab", "same": "lab", "zoned": "lab", "kin": "lab", "twin": "lab", "other": "lab2"}
"""The database of each alias.

`same` is the equal of `default`. `zoned` differs from it in TIME_ZONE alone, which is no parameter of a connection.
Every other alias has OPTIONS of its own, which a look shows as `alias`; `kin` differs from `default` in nothing else.
`twin` and `other` log in as a second user, whose name ends with b. `twin` also has a role, TWIN_ROLE."""
TWIN_ROLE = "lab_other"
ZONE = "Pacific/Chatham"
EQUAL = ("default", "same", "zoned")
"""Aliases whose sessions are made with the same parameters, as for a transaction of its own beside another one: what
the server was told does not tell them apart, and only at the same time must they not have one."""


@promise
class AliasSeparate(Promise):
    """At stake when two aliases were used in one run, and both got a session.

    Also where a test database took the place of the real one: `settings_dict["NAME"]` changes under what is kept.
    """

    id = "alias-separate"
    sentence = (
        "Two aliases never use one session at the same time, never inherit each other's session state, and each "
        "always works in its own database with its own user and options; a fault on one leaves the other untouched."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        default, kin = (Look("t0"), Write("t0")), on("kin", Look("t0"), Write("t0"))
        turns = (*request("t0", *default), *request("t0", *kin)) * 2
        yield self.plan(variant, "the same user, other OPTIONS", *turns, *request("t0", *default, *kin))
        beside = (Enter("t0"), Write("t0"), *on("same", Write("t0")), Write("t0"), Leave("t0", "rollback"))
        equals = request("t0", Read("t0"), *on("same", Read("t0")), *beside) * 2
        yield self.plan(variant, "the same settings, at once", *equals)
        if traits.use_tz:
            zoned = on("zoned", Look("t0"), Write("t0"))
            turns = (*request("t0", *zoned), *request("t0", *default)) * 2
            both = (*request("t0", *default, *zoned, *default), *request("t0", *zoned, *default, *zoned))
            yield self.plan(variant, "the same login, another time zone", *turns, *both)
        for alias, where in (("other", "another database"), ("twin", "the same database")):
            mine, theirs = (Look("t0"), Write("t0"), Look("t0")), on(alias, Look("t0"), Write("t0"), Look("t0"))
            both = request("t0", *mine, *theirs, *mine)
            turns = (*request("t0", *mine), *request("t0", *theirs), *request("t0", *mine), *request("t0", *theirs))
            yield self.plan(variant, f"{where}, one request", *both, *both)
            yield self.plan(
                variant, f"{where}, one request", *request("t0", *theirs, *mine), *both, title="other first"
            )
            yield self.plan(variant, f"{where}, in turn", *turns)
            blocks = (Enter("t0"), Write("t0"), *on(alias, Enter("t0"), Write("t0"), Look("t0")), Write("t0"))
            nested = request("t0", *blocks, Leave("t0", "rollback"), Write("t0"), Leave("t0"))
            yield self.plan(variant, f"{where}, atomic() in atomic()", *nested, *both)
            left = request("t0", Look("t0"), *on(alias, Look("t0")), *leave("t0"), *on(alias, Look("t0")))
            left += request("t0", *on(alias, Look("t0")))
            yield self.plan(variant, f"{where}, session state", *left, *request("t0", *mine))
            if several(variant):
                at_once: tuple[Step, ...] = (Begin("t0"), Begin("t1"), Look("t0"), *on(alias, Look("t1")))
                at_once += (Enter("t0"), Write("t0"), *on(alias, Write("t1")), Write("t0"), Leave("t0"))
                yield self.plan(variant, f"{where}, at once", *at_once, End("t0"), End("t1"), *both)
                hung = (only(alias, inject("black-hole")), Begin("t1"), *on(alias, Read("t1", swallow=True)))
                hung += (*request("t0", *mine), Heal(), End("t1"), *turns)
                if alias == "other":
                    yield self.plan(variant, f"{where}, a fault on one", *hung, title="black hole, two actors")
            for how, fault in (("FIN", FIN), ("RST", RST), ("terminated", TERMINATE), ("refused", inject("refuse"))):
                broken = on(alias, Read("t0", swallow=True))
                inside = request("t0", *mine, *theirs, only(alias, fault), *mine, *broken, *mine)
                moment = f"{where}, a fault on one"
                yield self.plan(variant, moment, *inside, Heal(), *turns, title=f"{how} in a request")
                idle = (*both, only(alias, fault), *request("t0", *mine, *broken, *mine), Heal(), *turns)
                if keeps(variant, traits):
                    yield self.plan(variant, moment, *idle, title=f"{how} between requests")
            block = (Enter("t0"), Write("t0"), *on(alias, Read("t0")), only(alias, FIN), Write("t0"), Leave("t0"))
            yield self.plan(variant, f"{where}, a fault on one", *request("t0", *block, *mine), title="FIN in atomic()")

        yield from test_runs(self, variant, "a test database")

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        used: dict[str, dict[str, Call]] = {}
        for call in trace.calls:
            if call.session:
                used.setdefault(call.alias, {}).setdefault(call.session, call)
        for alias, sessions in used.items():
            for other, others in used.items():
                shared = sessions.keys() & others.keys()
                if {alias, other} <= set(EQUAL):
                    shared = {session for session in shared if _by_both(trace, session)}
                if alias < other and shared:
                    session = min(shared)
                    step = max(sessions[session].step, others[session].step)
                    return self.broken(f"{alias} and {other} used one session", step)
        for finding in (self._places(record, trace), self._states(trace), self._faults(record, trace)):
            if finding is not None:
                return finding
        if any(_in_test_database(record, look) for _, look in looks(trace)):
            return self.kept("a test database took the place of the real one, and gave it back")
        if len(used) < 2:
            return self.unknown("no two aliases got a session")
        return self.kept(f"{len(used)} aliases kept to themselves")

    def _places(self, record: Record, trace: Trace) -> Finding | None:
        """Each works in its own database, as its own user, with its own options."""
        seen: list[Call] = []
        for _, look in looks(trace):
            alias = look.alias
            database = _in_test_database(record, look) or DATABASES.get(alias, "lab2")
            expected = {"database": database, "alias": "" if alias in EQUAL else alias}
            if alias == "twin" and not any("role" in sets(call) and call.alias == "twin" for call in seen):
                expected["role"] = TWIN_ROLE
            if alias == "zoned" and any(ZONE in each.value.values() for each in seen if each.alias == alias):
                expected["timezone"] = ZONE  # one that sets up no time zone at all breaks initialised
            elif alias == "default" and look.value.get("timezone") == ZONE:
                return self.broken(f"default had the time zone of zoned, {ZONE}", look.step)
            for field, value in expected.items():
                if look.value.get(field) != value:
                    found = look.value.get(field) or "none"
                    what = field.replace("timezone", "time zone")
                    return self.broken(f"{alias} had the {what} {found}, not {value or 'none'}", look.step)
            if str(look.value.get("user", "")).endswith("b") == (alias in (*EQUAL, "kin")):
                return self.broken(f"{alias} was logged in as {look.value.get('user')}", look.step)
            seen = [call for call in trace.calls if call.begin < look.begin]
        where = {row.token: row.database for row in record.rows}
        for call in trace.calls:
            place = where.get(f"{record.run}:{call.step}") if call.f == "write" else None
            if place is not None and place != DATABASES.get(call.alias, "lab2"):
                return self.broken(f"a row that was written to {call.alias} is in the database {place}", call.step)
        return None

    def _states(self, trace: Trace) -> Finding | None:
        """What was set on one alias is not seen on another; clean-session judges what was set on the alias itself."""
        first: dict[str, Call] = {}
        for _, look in looks(trace):
            alias = look.alias
            before = [call for call in trace.calls if call.begin < look.begin and sets(call)]
            own = {field for call in before if call.alias == alias for field in sets(call)}
            theirs = {field for call in before if call.alias != alias for field in sets(call)}
            baseline = state(first.setdefault(alias, look))
            was = {field: value for field, value in baseline.items() if field in theirs - own}
            if changed := difference(was, state(look)):
                return self.broken(f"{alias} found {changed}, which another alias had set", look.step)
        return None

    def _faults(self, record: Record, trace: Trace) -> Finding | None:
        """A fault that was meant for one alias: the calls of the others return, and on the sessions that they had."""
        meant = {landing.step: _meant(record, landing.step) for landing in record.landings}
        if not all(meant.values()):
            return None
        of_itself = False
        for landing in trace.landed:
            alias = meant[landing.step]
            others = [call for call in trace.calls if call.alias not in (alias, *meant.values())]
            for call in others:
                if call.end > landing.time and call.failed and not call.meant and hasattr(call.plan, "alias"):
                    return self.broken(f"a fault on {alias} made {call.f} fail on {call.alias}", call.step)
            if (waited := _waited_too(trace, others, alias, landing.time)) is not None:
                return self.broken(f"a fault on {alias} made {waited.f} wait on {waited.alias}", waited.step)
            before = {call.session for call in others if call.session and call.end < landing.time}
            after = [call for call in others if call.session and call.begin > landing.time]
            one_each = keeps(record.plan.variant, record.traits) and not record.traits.pool_max
            replaced = [call for call in after if call.session not in before]
            # Who hands sessions out in turn has not lost the one that was there before.
            at_end = [census for census in record.census if census.time > landing.time and census.at != "after exit"]
            there = {each.id for each in at_end[-1].sessions} if at_end else set()
            renewed = trace.time_passed(0, FOREVER)
            if (lost := before - there) and one_each and _calm(others) and replaced and not renewed:
                until = at_end[-1].time if at_end else after[0].begin
                if not all(worn(trace, session, until) for session in lost):
                    what = f"a fault on {alias} cost {after[0].alias} its session"
                    return self.broken(what, after[0].step, by_chance=True)
                of_itself = of_itself or not lost <= _used_later(trace, landing, alias)
        return self.unknown(WORN) if of_itself else None


def _used_later(trace: Trace, landing: Landing, alias: str) -> set[str]:
    """The sessions that a request had which began when the fault, and each error that it cost the alias, was over."""
    errors = [call.end for call in trace.calls if call.alias == alias and call.failed and call.end > landing.time]
    over = max(landing.time, landing.healed, *errors, 0)
    return {session for each in trace.requests if each.begin > over for session in each.sessions}


def _waited_too(trace: Trace, others: list[Call], alias: str, struck: int) -> Call | None:
    """A call of another alias that began while one of the struck alias waited in another thread of its process, was
    itself seen to wait in the client, and went on no sooner than that one: as behind a lock that both take.
    """
    seen = {event.step for event in trace.record.events if event.f == "blocked" and event.where == "client"}
    stuck = [call for call in trace.calls if call.alias == alias and call.step in seen and call.end > struck]
    for call in others:
        beside = [each for each in stuck if each.actor != call.actor and each.process == call.process]
        if call.step in seen and any(each.begin < call.begin < each.end <= call.end for each in beside):
            return call
    return None


def _in_test_database(record: Record, look: Call) -> str:
    """The test database that was in the place of the look's own, "" when none was."""
    calls = [call for call in Trace(record).calls if call.begin < look.begin and call.ending != "skip"]
    hows = (getattr(call.plan, "how", "") for call in reversed(calls) if not (call.failed and _makes(call)))
    last = next((how for how in hows if how in TEST_DATABASE), "")
    return f"lab_test_{record.run}" if last in IN_TEST_DATABASE and look.alias == "default" else ""


def _makes(call: Call) -> bool:
    return getattr(call.plan, "how", "") in IN_TEST_DATABASE


def _by_both(trace: Trace, session: str) -> bool:
    """Whether two aliases spoke on it within one request, and nothing was closed there in between."""
    return any(
        len({call.alias for call in each.calls if call.session == session}) > 1
        and not any(call.f == "close" for call in each.calls)
        for each in trace.requests
    )


def _calm(calls: list[Call]) -> bool:
    """Whether nothing in them is a reason to have another session."""
    return all(call.f in ("read", "write", "look", "begin", "end", "enter", "leave") for call in calls)


def _meant(record: Record, step: int) -> str:
    """The alias that the fault of that step was meant for, "" for all."""
    steps = record.plan.steps
    inject = steps[step] if 0 <= step < len(steps) else None
    return inject.alias if isinstance(inject, Inject) else ""
