"""initialised: every session must be set up as the configuration says, also one that replaces a lost one.

Time zone, isolation level, role and what a connection_created receiver does are set once, when a session is new. A pool
that makes sessions by itself, or a ROLLBACK after the set-up, loses them: times are then stored in another zone
(django-postgrespool2 PR 28) or rows are read with too many rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from lab.judging import elapsed
from lab.judging.calls import Call
from lab.judging.plan_parts import (
    FIN,
    TERMINATE,
    WHILE_LOCKED,
    autocommit_off,
    inject,
    keeps,
    looked_at,
    query,
    request,
    several,
    unprepared,
)
from lab.judging.session_state import looks, sets
from lab.judging.trace import Trace
from lab.promise import Promise, promise
from lab.records.plan import (
    Autocommit,
    Begin,
    Close,
    End,
    Enter,
    Fail,
    Heal,
    Leave,
    Look,
    Plan,
    Read,
    Rollback,
    Step,
    Write,
)
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding
from lab.records.words import count

ZONE = "Pacific/Auckland"
ROLE = "lab_other"
ROLE_BOUND = 3.0
"""The bound, in seconds, of plans with a role: to set one, Django's pool waits for itself until its own timeout."""
SERIALIZABLE = {"psycopg2": 3, "psycopg": 4}
"""Each driver has numbers of its own for the isolation levels."""
SERVER_OPTIONS = "-c lab.mark=initialised"
"""Given by OPTIONS["options"], as people give search_path."""
INIT = ("SET lab.mark = 'initialised'", "SET statement_timeout = '55s'")
"""What a project's connection_created receiver does, and how a look shows it."""
INIT_SHOWS = {INIT[0]: ("mark", "initialised"), INIT[1]: ("statement_timeout", "55s")}


@promise
class Initialised(Promise):
    """At stake whenever a request looked at its session, before it had changed anything there, under such settings.

    After a session was replaced, the first request looks at once, whatever it was at that found the old one dead.
    """

    id = "initialised"
    sentence = (
        "Every session, first or replaced, matches the configuration: time zone, isolation level, autocommit, role, "
        "custom init; also in a second thread, and after a rollback."
    )

    def plans(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        level = {"isolation_level": SERIALIZABLE[variant.driver]}
        zone = {"TIME_ZONE": ZONE} if traits.use_tz else {}  # without USE_TZ Django refuses one of a database's own
        configured = msgspec.structs.replace(
            variant, settings={**variant.settings, **zone}, options={**variant.options, **level}
        )
        role = msgspec.structs.replace(variant, options={**variant.options, "assume_role": ROLE})
        off = autocommit_off(variant)
        yield from self._moments(configured, "time zone, isolation level", (), traits)
        for plan in self._moments(role, "role", (), traits):
            yield msgspec.structs.replace(plan, bound=ROLE_BOUND)
        yield from self._moments(configured, "custom init", INIT, traits)
        yield from self._server_options(variant, traits)
        if keeps(variant, traits):
            yield from self._again(role, "role", (), traits)
            yield from self._again(configured, "custom init", INIT, traits)
            yield from elapsed.looked_at(self, configured, "custom init, replaced session", INIT)
        yield from self._tidied(configured, "custom init", INIT)
        yield from self._replaced(configured, "custom init", INIT, traits)
        block = request("t0", Enter("t0"), Look("t0"), Leave("t0"))
        conflict = request("t0", Enter("t0"), Write("t0"), Fail("t0", "serialization"), Leave("t0", "rollback"))
        yield self.plan(variant, "isolation level, after a serialization failure", *block, *conflict, *block * 2)
        look = request("t0", Look("t0"))
        turned = (*look, *request("t0", Look("t0"), Autocommit("t0"), Read("t0")))
        yield self.plan(variant, "autocommit, turned off before", *turned, *looked_at(variant, traits))
        for name, init in (("autocommit off", ()), ("autocommit off, custom init", INIT)):
            yield from self._moments(off, name, init, traits)
            undone = request("t0", Write("t0"), Look("t0"), Rollback("t0"), Look("t0"), Rollback("t0"))
            yield self.plan(off, f"{name}, after rollback()", *undone, *request("t0", Look("t0")), init=init)

    def _moments(self, which: Variant, name: str, init: tuple[str, ...], traits: Traits) -> Iterator[Plan]:
        seen = (Look("t0"), Enter("t0"), Look("t0"), Leave("t0"), Look("t0"))
        look = request("t0", *seen)
        first = look * max(traits.pool_max, 1)  # each of a pool's sessions may be stale, and cost one request
        yield self.plan(which, f"{name}, first session", *look, *look, init=init)
        yield self.plan(which, f"{name}, first session", *request("t0", *seen[1:]), init=init, title="atomic() first")
        for how, fault in (("terminated", TERMINATE), ("FIN", FIN)):
            if keeps(which, traits):
                idle = (*query("t0"), fault, *first, *look)
                yield self.plan(which, f"{name}, replaced session", *idle, init=init, title=f"{how} between requests")
            inside = (*request("t0", Read("t0"), fault, Read("t0")), *first, *look)
            yield self.plan(which, f"{name}, replaced session", *inside, init=init, title=f"{how} in a request")
        undone = request("t0", Enter("t0"), Write("t0"), Leave("t0", "rollback"), *seen)
        yield self.plan(which, f"{name}, after a rollback", *undone, *look, init=init)
        if several(which):
            both: tuple[Step, ...] = (Begin("t0"), Begin("t1"), Look("t0"), Look("t1"))
            both += (Enter("t1"), Look("t1"), Leave("t1"), End("t1"), End("t0"))
            yield self.plan(which, f"{name}, second thread", *both, *look, *request("t1", Look("t1")), init=init)

    def _server_options(self, variant: Variant, traits: Traits) -> Iterator[Plan]:
        """What OPTIONS tell the server when a session begins: a session that takes another's place needs it, too."""
        options = {**variant.options, "options": f"{variant.options.get('options') or ''} {SERVER_OPTIONS}".strip()}
        which = msgspec.structs.replace(variant, options=options)
        look = request("t0", Look("t0")) * max(traits.pool_max, 1)
        yield self.plan(which, "server options, first session", *look, *look)
        inside = (*request("t0", Read("t0"), TERMINATE, Read("t0")), *look, *look)
        yield self.plan(which, "server options, replaced session", *inside, title="terminated in a request")
        refused = (inject("refuse"), Begin("t0"), Read("t0", swallow=True), Heal(), End("t0"), *look, *look)
        moment = "server options, replaced session"
        yield self.plan(which, moment, *query("t0"), *refused, title="after a refused connect")
        if keeps(which, traits):
            idle = (*query("t0"), TERMINATE, *look, *look)
            yield self.plan(which, "server options, replaced session", *idle, title="terminated between requests")

    def _again(self, which: Variant, name: str, init: tuple[str, ...], traits: Traits) -> Iterator[Plan]:
        """What a backend counts, or remembers by its first sessions, shows with a later one."""
        good = query("t0") * max(traits.pool_max, 1)
        replaced = (TERMINATE, *good, *request("t0", Look("t0"), Enter("t0"), Look("t0"), Leave("t0")))
        moment, title = f"{name}, replaced session", "three times"
        plan = self.plan(which, moment, *query("t0"), *replaced * 3, init=init, title=title)
        yield plan if init else msgspec.structs.replace(plan, bound=ROLE_BOUND)

    def _tidied(self, which: Variant, name: str, init: tuple[str, ...]) -> Iterator[Plan]:
        """What makes a backend tidy a session up: it is still to be set up afterwards."""
        look = request("t0", Look("t0"), Enter("t0"), Look("t0"), Leave("t0"))
        error = (*query("t0"), *request("t0", Read("t0"), Fail("t0")), *look, *look)
        yield self.plan(which, f"{name}, after a statement's error", *error, init=init)
        closed = request("t0", Read("t0"), Close("t0"), Look("t0"), Enter("t0"), Look("t0"), Leave("t0"))
        yield self.plan(which, f"{name}, after close()", *closed, *look, init=init)

    def _replaced(self, which: Variant, name: str, init: tuple[str, ...], traits: Traits) -> Iterator[Plan]:
        """Sessions found dead at other moments; the first request afterwards looks before all else."""
        look = request("t0", Look("t0"), Enter("t0"), Look("t0"), Leave("t0")) * max(traits.pool_max, 1)
        moment = f"{name}, replaced session"
        if keeps(which, traits):
            use = (*query("t0"), Begin("t0"), TERMINATE, Enter("t0"), Look("t0"), Leave("t0"), End("t0"))
            yield self.plan(which, moment, *use, *look, init=init, title="dead at first use, in atomic()")
        block = (Enter("t0"), Write("t0"), FIN)
        commit = request("t0", *block, Leave("t0"))
        yield self.plan(which, moment, *commit, *look, init=init, title="dead at COMMIT")
        refused = (inject("refuse"), Begin("t0"), Read("t0", swallow=True), Heal(), End("t0"))
        yield self.plan(which, moment, *query("t0"), *refused, *look, init=init, title="after a refused connect")
        if init and several(which):
            fails = unprepared("t1", Begin("t0"), Read("t0", swallow=True), Heal(), End("t0"))
            first = (WHILE_LOCKED, *init)
            both = (Begin("t0"), Begin("t1"), Look("t0"), Look("t1"), End("t0"), End("t1"))  # whoever has got which
            yield self.plan(which, f"{name}, once it has failed", *fails, *both, *look, init=first)
        undone = request("t0", *block, Leave("t0", "rollback"), Look("t0"))
        yield self.plan(which, moment, *undone, *look, init=init, title="dead at ROLLBACK")

    def judge(self, record: Record) -> Finding:
        trace = Trace(record)
        expected = _expected(record)
        untouched = not any(sets(call) for call in trace.calls)
        seen = 0
        for each, look in looks(trace, "default"):
            if untouched and _in_block(look) and look.value.get("isolation"):
                expected.setdefault("isolation", look.value["isolation"])  # OPTIONS name none: the first look's
            own = {field for call in each.calls if call.begin < look.begin for field in sets(call)}
            for field, value in expected.items():
                if field in own or (field in ("isolation", "autocommit") and _in_block(look) != (field == "isolation")):
                    continue
                if look.value.get(field) != value:
                    found = look.value.get(field) or "nothing"
                    return self.broken(f"a session's {field.replace('_', ' ')} is {found}, not {value}", look.step)
                seen += 1
        if seen:
            return self.kept(f"{count(seen, 'look')} at sessions, which match the configuration")
        return self._none_set_up(record, trace)

    def _none_set_up(self, record: Record, trace: Trace) -> Finding:
        """No look returned: broken where nothing but the configuration can be the reason."""
        asked = [call for call in trace.calls if call.f in ("look", "read", "write", "enter")]
        if asked and not record.landings and all(call.failed or call.ending == "skip" for call in asked):
            error = next((call.chain[0].cls.rpartition(".")[2] for call in asked if call.chain), "an error")
            return self.broken(f"no session could be set up under this configuration: {error}", asked[0].step)
        return self.unknown("no request looked at a session")


def _in_block(look: Call) -> bool:
    return bool(look.value.get("in_atomic"))


def _expected(record: Record) -> dict[str, Any]:
    """What a look must show of what the plan's variant configures."""
    variant = record.plan.variant
    expected: dict[str, Any] = {"autocommit": record.traits.autocommit}
    if zone := variant.settings.get("TIME_ZONE"):
        expected["timezone"] = zone
    if SERVER_OPTIONS in str(variant.options.get("options", "")):
        expected["mark"] = "initialised"
    if level := variant.options.get("isolation_level"):
        levels = {"psycopg2": {1: "read committed", 2: "repeatable read", 3: "serializable"}}
        levels["psycopg"] = {2: "read committed", 3: "repeatable read", 4: "serializable"}
        expected["isolation"] = levels[variant.driver].get(level, level)
    if role := variant.options.get("assume_role"):
        expected["role"] = role
    return {**expected, **dict(INIT_SHOWS[text] for text in record.plan.init if text in INIT_SHOWS)}
