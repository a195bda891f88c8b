"""every_order on the example shop: wrong calls are found, right ones are silent, and what is printed replays."""

from __future__ import annotations

import re

import pytest

from fix_application import Project, Ran
from order_projects import REPLAYS, REPLAYS_CONFTEST, RIGHT, WRONG

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

DRIVERS = ["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)]


def ran(project: Project, text: str, *arguments: str, **settings: object) -> Ran:
    project.write("test_orders.py", text)
    return project.pytest("test_orders.py", *arguments, settings=settings)


@pytest.fixture(scope="module", params=DRIVERS)
def wrong(project: Project, request: pytest.FixtureRequest) -> Ran:
    return ran(project, WRONG, f"--lab-driver={request.param}")


@pytest.fixture(scope="module", params=DRIVERS)
def right(project: Project, request: pytest.FixtureRequest) -> Ran:
    return ran(project, RIGHT, f"--lab-driver={request.param}")


def test_every_wrong_call_is_found(wrong: Ran) -> None:
    assert set(wrong.outcomes.values()) == {"failed"}, wrong.text
    assert len(wrong.outcomes) == WRONG.count("def test_")
    assert "Traceback" not in wrong.text


@pytest.mark.nightly  # for time: half a minute; six right views of public projects are ordered on every push
def test_no_right_call_is_accused(right: Ran) -> None:
    assert set(right.outcomes.values()) == {"passed"}, right.text
    assert len(right.outcomes) == RIGHT.count("def test_")
    assert "void" not in right.text


def test_report_shows_the_order_by_statement_and_line(wrong: Ran) -> None:
    report = wrong.report("test_lost_update")
    assert re.search(
        r"every_order: 2 requests, 18 orders with at most 2 preemptions in .* s: 2 as one after the other, 16 broken",
        report,
    )
    assert "invariant: 9 in stock and 3 sold, of 10  [8 orders]" in report
    assert "    begins\n    SELECT shop_product  shop/wrong.py:" in report
    assert "UPDATE shop_product  shop/wrong.py:30  waits for a lock of A" in report
    assert "    -> 201                                 -> 201\n  rows shop_order +2, shop_product ~1" in report
    assert "see it again: pytest test_orders.py::test_lost_update --lab-order AABBBBBAAA" in report


def test_general_oracles_find_without_an_invariant(wrong: Ran) -> None:
    assert "not serial: answers and rows (201, 201)" in wrong.report("test_lost_update_without_invariant")
    assert "not serial: answers and rows (201, 201)" in wrong.report("test_looked_and_made")
    assert "an error in this order only: deadlock detected" in wrong.report("test_deadlock")
    assert "an error in this order only: IntegrityError: duplicate key" in wrong.report("test_unique_key")
    assert "an error in this order only: OperationalError: could not serialize" in wrong.report("test_no_retry")
    assert "an error in this order only: OperationalError: could not serialize" in wrong.report(
        "test_no_retry_of_repeatable_read"
    )
    assert "invariant: 2 orders of at most 1" in wrong.report("test_skew_in_spite_of_repeatable_read")
    report = wrong.report("test_cut_harms_the_other")
    assert re.search(r"[AB]'s connection was cut and an error in this order only: RuntimeError: switched off", report)
    assert re.search(r"--lab-order '?[AB]*![AB]+", report)
    assert "left open: a session is idle in a transaction" in wrong.report("test_left_open")
    assert re.search(r"3 requests, \d\d orders with at most 1 preemption in", wrong.report("test_three"))
    assert "request C" in wrong.report("test_three")


@pytest.mark.nightly
def test_a_passing_test_is_one_line(right: Ran) -> None:
    assert re.fullmatch(
        r"every_order: 2 requests, 8 orders with at most 2 preemptions in [\d.]+ s: 8 as one after the other",
        right.line("test_locked"),
    )
    assert "2 requests, 8 orders" in right.line("test_receiver_is_no_step")
    assert "2 requests, 8 orders" in right.line("test_live_server")
    assert right.line("test_allowed_error").endswith("8 as one after the other, 2 with an error that is allowed")
    assert re.search(r"\d\d orders with at most 1 preemption \(\d\d of them with a cut\)", right.line("test_with_cuts"))
    assert re.search(r"3 requests, \d\d orders with at most 1 preemption in", right.line("test_three_in_order"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_address_tells_that_one_order(project: Project, driver: str) -> None:
    project.write("test_orders.py", WRONG)
    found = project.pytest("test_orders.py::test_write_skew", "--lab-order", "AAABBBBBAA", f"--lab-driver={driver}")
    assert "order AAABBBBBAA: broken: invariant: 2 orders of at most 1" in found.report("test_write_skew")
    found = project.pytest("test_orders.py::test_write_skew", "--lab-order", "AAAAABBBB", f"--lab-driver={driver}")
    assert found.outcomes == {"test_write_skew": "passed"}
    assert "every_order: AAAAABBBB: kept" in found.text


@pytest.mark.nightly
@pytest.mark.parametrize(
    "settings",
    [
        {"CONN_MAX_AGE": None},
        {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True},
        {"OPTIONS": {"server_side_binding": True}},
        {"OPTIONS": {"pool": {"min_size": 2, "max_size": 4, "timeout": 5}}, "CONN_HEALTH_CHECKS": True},
        {"ATOMIC_REQUESTS": True},
    ],
    ids=["kept", "checked", "server-side binding", "pool", "atomic requests"],
)
def test_every_way_of_connecting_has_the_same_orders(project: Project, settings: dict[str, object]) -> None:
    project.write("test_wrong_orders.py", WRONG)
    project.write("test_right_orders.py", RIGHT)
    chosen = "test_lost_update or test_locked or test_retries"
    found = project.pytest("test_wrong_orders.py", "test_right_orders.py", "-k", chosen, settings=settings)
    outcomes = found.outcomes
    assert {outcomes[name] for name in outcomes if "lost_update" in name} == {"failed"}, found.text
    assert {outcomes[name] for name in outcomes if "lost_update" not in name} == {"passed"}, found.text
    assert "2 requests, 18 orders" in found.report("test_lost_update")
    assert "16 broken" in found.report("test_lost_update_without_invariant")
    assert "2 requests, 8 orders" in found.line("test_locked")


BAD = {
    "take": "every_order takes 2 or 3 callables, not 1; give calls: ",
    "take, take, take, take": "every_order takes 2 or 3 callables, not 4; ",
    "take, 3": "every_order takes 2 or 3 callables, not 2; ",
    "take, take, errors='no'": "errors='no' is not known; use one of broken, allow",
}


def test_bad_arguments_end_in_one_line(project: Project) -> None:
    text = RIGHT.partition("def test_locked")[0]
    for number, call in enumerate(BAD):
        text += f"\ndef test_{number}(shop, every_order):\n    every_order({call})\n"
    said = ran(project, text)
    for number, line in enumerate(BAD.values()):
        report = said.report(f"test_{number}")
        assert line in report
        assert len(report.strip().splitlines()) == 1, report


def test_a_bad_address_ends_in_one_line(project: Project) -> None:
    project.write("test_orders.py", RIGHT)
    found = project.pytest("test_orders.py::test_locked", "--lab-order", "AXB")
    assert "'AXB' is no order of 2 requests; write letters of AB, as a report prints them" in found.report(
        "test_locked"
    )


def test_an_address_that_is_not_there_is_void_with_the_reason(project: Project) -> None:
    project.write("test_orders.py", RIGHT)
    found = project.pytest("test_orders.py::test_locked", "--lab-order", "AABBB")
    assert "step 5 is to be B's, but it waits for a lock of A" in found.text


def test_wrong_in_a_serial_order_is_said_so(project: Project) -> None:
    text = f"""{RIGHT.partition("def test_locked")[0]}
def test_it(shop, every_order):
    def check():
        assert Product.objects.get(sku="a").stock == 10, "some are gone"
    every_order(take, take, invariant=check)
"""
    report = ran(project, text).report("test_it")
    assert "the invariant fails in the serial order AAABBB: some are gone" in report


def test_call_that_fails_by_itself_is_said_so(project: Project) -> None:
    text = f"""{RIGHT.partition("def test_locked")[0]}
def fail():
    Product.objects.get(sku="a")
    raise RuntimeError("out of paper")
def test_broken(shop, every_order):
    every_order(take, fail)
def test_allowed(shop, every_order):
    every_order(take, fail, errors="allow")
"""
    found = ran(project, text)
    said = "request B answers RuntimeError in every serial order: RuntimeError: out of paper"
    assert f'{said}; mend it first, or give errors="allow" where it is to fail' in found.report("test_broken")
    assert found.outcomes["test_allowed"] == "passed"
    assert said in found.line("test_allowed")


def test_calls_that_change_from_run_to_run_are_void_not_accused(project: Project) -> None:
    text = f"""{RIGHT.partition("def test_locked")[0]}
import itertools
def test_it(shop, every_order):
    numbers = itertools.count()
    def call():
        for _ in range(next(numbers) % 3):
            Tag.objects.count()
        Product.objects.filter(sku="a").update(stock=F("stock") - 1)
    every_order(call, call)
"""
    report = ran(project, text).report("test_it")
    assert "the calls cannot be put into an order: step " in report
    assert "let `before` put back what differs between two runs" in report


def replays(project: Project, driver: str, times: int) -> list[tuple[int, int, int]]:
    """By scenario how many replays agreed, of how many, and how many had a deadlock."""
    project.write("conftest_replays.py", REPLAYS_CONFTEST)
    project.write("test_orders.py", REPLAYS)
    found = project.pytest(
        "-p", "conftest_replays", "test_orders.py", "--times", str(times), "-s", f"--lab-driver={driver}"
    )
    said = re.findall(r"REPLAYS .*: (\d+) of (\d+) agree, (\d+) with a deadlock", found.text)
    assert len(said) == 5, found.text
    assert "differs:" not in found.text, [line for line in found.text.splitlines() if line.startswith("differs:")]
    return [(int(same), int(runs), int(deadlocks)) for same, runs, deadlocks in said]


@pytest.mark.nightly
@pytest.mark.parametrize("driver", DRIVERS)
def test_replays_agree(project: Project, driver: str) -> None:
    said = replays(project, driver, 20)
    assert sum(runs for _, runs, _ in said) >= 100
    assert all(same == runs for same, runs, _ in said), said
    assert any(deadlocks for _, _, deadlocks in said)


@pytest.mark.nightly
@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_thousand_replays_agree(project: Project, driver: str) -> None:
    said = replays(project, driver, 200)
    assert sum(runs for _, runs, _ in said) >= 1000
    assert all(same == runs for same, runs, _ in said), said
