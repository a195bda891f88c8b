"""The example shop: each wrong view is found and its repaired twin is silent, with both drivers."""

from __future__ import annotations

import re
import shutil

import pytest

from fix_application import SHOP, Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


@pytest.fixture(scope="module", params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)])
def shop_run(project: Project, request: pytest.FixtureRequest) -> Ran:
    for name in ("test_right.py", "test_wrong.py"):
        shutil.copy(SHOP / name, project.folder)
    return project.pytest(f"--lab-driver={request.param}", "test_right.py", "test_wrong.py")


def test_every_wrong_view_is_found_and_every_right_one_silent(shop_run: Ran) -> None:
    verdicts = shop_run.outcomes
    text = shop_run.text
    assert "PASSED test_right.py::" in text
    assert not [line for line in text.splitlines() if line.startswith("FAILED test_right.py")]
    assert not [line for line in text.splitlines() if line.startswith("PASSED test_wrong.py")]
    assert shop_run.status == 1
    assert len(verdicts) >= 6


def test_report_names_line_table_answer_rows_and_an_address(shop_run: Ran) -> None:
    report = shop_run.report("test_order")
    assert "every_cut: 3 statements, 8 cuts in" in report
    assert "5 error, nothing done, 2 broken, 1 in doubt" in report
    assert "clean run: 201, rows shop_order +1, shop_product ~1" in report
    assert "invariant: 9 in stock and 0 sold, of 10  [2 cuts]" in report
    assert "answer to UPDATE shop_product lost  shop/wrong.py:" in report
    assert "before INSERT shop_order " in report
    assert "-> 500, rows shop_product ~1" in report
    assert "see it again: pytest test_wrong.py::test_order --lab-cut 'c1:ready:" in report
    assert "Traceback" not in shop_run.text  # the logs of a case stay with the case


def test_asking_again_without_a_key_fails_at_the_lost_answer_of_commit_alone(shop_run: Ran) -> None:
    report = shop_run.report("test_order_asked_again")
    assert "done twice: more rows than one request makes, in shop_order  [1 cut]" in report
    assert "answer to COMMIT lost" in report
    assert "-> 500, asked again: 201, rows shop_order +2" in report


def test_swallowed_error_is_found_without_an_invariant(shop_run: Ran) -> None:
    report = shop_run.report("test_pay_without_invariant")
    assert "success without effect: the client was told that all is well" in report


def test_retry_middleware_is_found_without_an_invariant(shop_run: Ran) -> None:
    assert "done twice" in shop_run.report("test_retry_middleware")


def test_mail_before_commit_is_found(shop_run: Ran) -> None:
    assert "invariant: a letter about an order that is not there" in shop_run.report("test_mail")


def test_passing_test_is_one_line_with_doubt_counted(shop_run: Ran) -> None:
    line = shop_run.line("test_pay")
    assert line.startswith("every_cut: 7 statements, 16 cuts in")
    assert line.endswith("15 error, nothing done, 1 in doubt")


def test_header_names_the_driver(shop_run: Ran, request: pytest.FixtureRequest) -> None:
    driver = request.node.callspec.params["shop_run"]
    assert f"connection lab: driver {driver} " in shop_run.text


def test_address_replays_one_case_and_tells_it(shop_run: Ran, project: Project) -> None:
    found = re.search(r"--lab-cut '([^']+)'", shop_run.report("test_order"))
    assert found
    told = project.pytest("test_wrong.py::test_order", "--lab-cut", found[1]).report("test_order")
    assert f"cut {found[1]}: answer to UPDATE shop_product lost  shop/wrong.py:" in told
    assert "    SELECT shop_product  shop/wrong.py:" in told
    assert "    ** cut **\n    -> 500, rows shop_product ~1" in told
    assert "broken: invariant: 9 in stock and 0 sold, of 10" in told
    assert "log: ERROR django.request: Internal Server Error: /wrong/orders/" in told
