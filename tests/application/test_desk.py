"""A front desk whose views are wrong in thirty ways that people write: each is found, and no right one is accused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

DESK = Path(__file__).resolve().parents[1] / "projects" / "desk"

NOT_SERIAL = "not serial: answers and rows"
ORDERS = {
    "spend": NOT_SERIAL,
    "spend_unlocked_after": NOT_SERIAL,
    "book_if_free": NOT_SERIAL,
    "hit": NOT_SERIAL,
    "visit": NOT_SERIAL,
    "invoice_number": NOT_SERIAL,
    "claim": NOT_SERIAL,
    "join": "an error of the database was swallowed inside atomic() at desk/wrong.py:",
    "replace_list": NOT_SERIAL,
    "pay_over_http": NOT_SERIAL,
}
CUTS = {
    "mail_first": "invariant: mail without booking",
    "hook_outside": "invariant: mail without booking",
    "cache_counter": "invariant: 1 in the cache  [1 cut]",
    "webhook": "invariant: 100",
    "signalled": "invariant: a booking without its invoice  [2 cuts]",
    "enqueue": "invariant: a job about nothing",
    "nested_except": "success without effect",
    "chunks": "invariant: 2 of 6",
    "charge_in_transaction": "invariant: charged for nothing",
    "thanks": "success without effect",
    "retried_by_client": "done twice: more rows than one request makes, in desk_booking  [1 cut]",
    "failing_hook": "invariant: 2 bookings",
    "status_before": "invariant: done without",
    "loop_with_skip": "success with half of its effect",
    "reconnects": "success with half of its effect",
    "manual_commit": "invariant: paid for nothing",
    "session_cart": "half done: some of the request's rows are there, and some are not",
    "outside_cursor": "invariant: paid for nothing",
}
FOUND = {
    **{f"test_order[{name}-wrong]": says for name, says in ORDERS.items()},
    **{f"test_cut[{name}-wrong]": says for name, says in CUTS.items()},
    "test_order_edits[wrong]": NOT_SERIAL,
    "test_order_cached_wrong": "invariant: stale",
    "test_cut_not_atomic[wrong]": "invariant: taken without a booking",
    "test_cut_async[wrong]": "invariant: paid for nothing",
}
EACH_PUSH = "join or nested_except or webhook or cached"


def desk(project: Project, *arguments: str) -> Ran:
    shutil.copytree(DESK, project.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return project.pytest("--ds=settings_desk", *arguments)


@pytest.mark.parametrize(
    ("driver", "chosen"),
    [
        ("psycopg", EACH_PUSH),
        pytest.param("psycopg", "", marks=pytest.mark.nightly),
        pytest.param("psycopg2", "", marks=pytest.mark.nightly),
    ],
    ids=["some", "psycopg", "psycopg2"],
)
def test_every_wrong_view_is_found_and_every_right_one_silent(project: Project, driver: str, chosen: str) -> None:
    ran = desk(project, "pairs.py", "-k", chosen, f"--lab-driver={driver}")
    outcomes = ran.outcomes
    assert len(outcomes) == (2 * len(FOUND) - 1 if not chosen else 7), sorted(outcomes)  # one has no right twin
    assert {name for name, how in outcomes.items() if how == "failed"} == FOUND.keys() & outcomes.keys(), ran.text
    for name in FOUND.keys() & outcomes.keys():
        assert FOUND[name] in ran.report(name)
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("driver", "chosen"),
    [
        ("psycopg", "expected_error or (cut and graphql)"),
        pytest.param("psycopg", "", marks=pytest.mark.nightly),
        pytest.param("psycopg2", "", marks=pytest.mark.nightly),
    ],
    ids=["some", "psycopg", "psycopg2"],
)
def test_right_views_that_do_odd_things_are_not_accused(project: Project, driver: str, chosen: str) -> None:
    # A bound that no test lives to see: an order in which a statement was held and forgotten used to wait for its end.
    ran = desk(project, "odd_ones.py", "-k", chosen, f"--lab-driver={driver}", "--lab-bound=900")
    failed = {name for name, how in ran.outcomes.items() if how != "passed"}
    # Its own two threads race: their order may differ from run to run, which is said, and accuses nobody.
    assert failed <= {"test_order[in_threads]"}, ran.text
    assert all("the calls cannot be put into an order" in ran.report(name) for name in failed), ran.text
    assert len(ran.outcomes) == (34 if not chosen else 3)
