"""Backends that break at a position which takes several things at once, each with the moment that has it.

Each was written to pass the plans that there were. Three were run against all of those and passed; of the others the
plans of the promises concerned did not have the position.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.judging.judge import judge
from lab.promise import PROMISES
from lab.records.verdict import Finding, Verdict
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[1]
EARLIER = "whatever the request did earlier"
OBJECTS = "the driver's connection: rows and handlers"
PASSED = {
    "savepoint_after_close": ("aborts-cleanly", EARLIER, "a close(), another alias"),
    "second_savepoint_lost": ("aborts-cleanly", EARLIER, "nothing, the default alias"),
    "thread_end_commits": ("aborts-cleanly", "never left", "the thread ends"),
    "thread_ends_unchecked": ("replaces-stale", EARLIER, "a thread's end, another alias"),
    "checks_outside_blocks": ("replaces-stale", "terminated, query first", "of another alias, in a block of this one"),
    "renews_password_on_main": ("replaces-stale", "password rotated, query first", "another thread"),
    "resets_when_alone": ("clean-session", "SET", "beside another request"),
    "restores_state_after_loss": ("clean-session", "all of it, then its session lost", ""),
    "elides_commits": ("whole-answers", "COPY in", "alone in a block that is committed"),
    "hooks_of_all_aliases": ("hooks-once", "rolled back", "beside another alias"),
    "child_takes_replacements": ("fork-safe", "between requests, then normal", "after a replacement"),
    "shrinks_busy": ("isolated-threads", "three at once", "one outlives the others"),
    "keeps_in_context": ("isolated-threads", "checked at the same time", ""),
    "retries_selects": ("exactly-once", "a SELECT that writes", "function"),
    "connects_in_turn": ("alias-separate", "another database, a fault on one", "black hole, two actors"),
    "sets_up_once_for_all": ("alias-separate", "the same login, another time zone", ""),
    "child_gives_nothing_back": ("bounded-sessions", "in a forked process", ""),
    "hands_on_unreset": ("clean-session", "a thread that ends", "in a request"),
    "forgets_due_savepoint": ("aborts-cleanly", "a savepoint rolled back", "around one that wrote"),
    "shares_autocommit_mark": ("aborts-cleanly", "left with an exception", "within another alias's"),
    "locks_cost_sessions": ("keeps-healthy", "lock", ""),
    "reruns_hooks": ("hooks-once", "committed", "a hook's query fails"),
    "takes_back_the_abandoned": ("isolated-threads", "after a long time", "both in autocommit"),
    "asks_default_to_connect": ("works-unfaulted", "a statement refused", "another alias connects then"),
    "loses_its_execute_wrapper": ("works-unfaulted", "an execute wrapper", "at the end"),
    "keeps_half_reset": ("clean-session", "SET", "a signal at its end, base"),
    "holds_what_it_gave_back": ("isolated-threads", "after an error", "a signal at its end"),
    "renews_by_statements": ("steady-session", "after many statements", ""),
    "explains_slow": ("works-unfaulted", "a slow statement", ""),
    "hooks_before_statements_lost": ("hooks-once", "committed", "before the block's first statement"),
    "hooks_are_never_robust": ("hooks-once", "committed", "after a robust one that raises"),
    "names_savepoints_by_level": ("works-unfaulted", "many rows", "in atomic()"),
    "asks_driver_for_needs_rollback": ("aborts-cleanly", "left with an exception", "an inner one, no savepoint"),
    "resets_in_autocommit_only": ("clean-session", "SET", "atomic() first"),
    "resets_what_it_has_seen": ("clean-session", "SET", "by the driver's own cursor"),
    "resets_its_first_session": ("clean-session", "SET", "closed by hand, then beside another request"),
    "forgets_what_was_read": ("clean-session", OBJECTS, "unread notifications"),
    "forgets_encoding": ("clean-session", OBJECTS, "encoding"),
    "sends_set_once": ("steady-session", "set in atomic()", "again, once undone"),
    "replaces_between_statements": ("steady-session", "its session lost", ""),
    "hands_on_to_one_that_waits": ("recovers", "idle in request", "another one waits for it"),
    "listens_again": ("whole-answers", "a consumer in a request", "the news comes before the next statement"),
    "doubts_one_session_alone": ("writable", "several sessions", "one of them has met the error"),
    "checks_client_cursors_only": ("replaces-stale", "terminated, query first", "by iterator()"),
    "checks_plain_cursors_only": ("replaces-stale", "terminated, query first", "by a cursor of DEBUG"),
    "sends_updates_again": ("exactly-once", "UPDATE, answer lost", "update"),
    "begins_many_again": ("exactly-once", "executemany(), answer lost", "many"),
    "counts_its_notice": ("works-unfaulted", "other statements", ""),
    "sends_two_at_once": ("works-unfaulted", "other statements", ""),
    "watchers_stay": ("bounded-sessions", "threads beside sessions", ""),
    "storms_behind": ("paced-reconnects", "nothing listens, with a kept session", "for a while"),
    "tells_by_another_class": ("works-unfaulted", "a statement refused", ""),
    "drops_hooks_of_hooks": ("hooks-once", "committed", "by another hook's block"),
    "renews_password_once": ("recovers", "password rotated", "twice"),
    "swallows_exit_in_checks": ("honest-error", "in a checkout, told to exit", ""),
    "escalates_after_conflicts": ("initialised", "isolation level, after a serialization failure", ""),
    "hedges_connects": ("bounded-sessions", "three slow connects", ""),
    "checks_all_but_many": ("replaces-stale", "terminated, query first", "by executemany()"),
    "many_costs_sessions": ("keeps-healthy", "unique, by executemany()", ""),
    "fetches_cost_sessions": ("keeps-healthy", "statement_timeout, while fetching", ""),
    "leaves_migrations_timeouts": ("steady-session", "after a migration's statements", ""),
}
PSYCOPG2_ALONE = ("encoding",)


def _shown(rig: Rig, zygote: Zygote, promise: str, moment: str, title: str) -> Finding:
    asked = PROMISES.get(promise)
    title = title or f"{promise}: {moment}"
    (plan,) = [
        plan
        for plan in asked.plans(zygote.variant, zygote.traits)
        if (plan.moment, plan.title, plan.variant) == (moment, title, zygote.variant)
    ]
    return judge(run(plan, rig, zygote), [asked])[0]


@pytest.mark.parametrize(
    "zygote",
    [pytest.param((name, "psycopg2"), id=name) for name in PASSED],
    indirect=True,
)
def test_a_position_that_takes_several_things_is_taken(zygote: Zygote, rig: Rig) -> None:
    found = _shown(rig, zygote, *PASSED[zygote.variant.name])
    assert found.verdict is Verdict.BROKEN, found


@pytest.mark.parametrize(
    "zygote",
    [(name, driver) for name in ("correct_careful", "correct_sets_local") for driver in ("psycopg2", "psycopg")],
    indirect=True,
)
def test_a_correct_backend_is_accused_at_none_of_them(zygote: Zygote, rig: Rig) -> None:
    without = () if zygote.variant.driver == "psycopg2" else PSYCOPG2_ALONE
    found = [_shown(rig, zygote, *where) for where in PASSED.values() if where[-1] not in without]
    assert {each.verdict for each in found} == {Verdict.KEPT}, found


@pytest.mark.parametrize("zygote", [("correct_connects_in_turn", "psycopg")], indirect=True)
def test_sessions_may_be_opened_in_turn_by_who_does_not_wait_for_all(zygote: Zygote, rig: Rig) -> None:
    found = _shown(rig, zygote, "bounded-wait", "connect", "several requests at once")
    assert found.verdict is Verdict.KEPT, found


@pytest.mark.parametrize("zygote", [("correct_hedges", "psycopg")], indirect=True)
def test_a_second_attempt_may_be_made_beside_a_slow_one(zygote: Zygote, rig: Rig) -> None:
    found = _shown(rig, zygote, "bounded-sessions", "three slow connects", "")
    assert found.verdict is Verdict.KEPT, found
