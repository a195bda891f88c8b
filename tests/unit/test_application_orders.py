"""What is judged and said of orders, on records written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.application.case import Answer, Rows
from lab.application.failure import Unfit
from lab.application.order_case import OrderCase, Step, address, read_address
from lab.application.order_content import content, volatile
from lab.application.order_judge import Verdict, judge
from lab.application.order_text import Judged, headline, notes, report, story
from lab.application.state import Change
from lab.application.state.schema import Table
from lab.explore.frontier import Choice

STEPS = (
    Step(0),
    Step(0, "SELECT shop_product", "shop/views.py:12"),
    Step(1),
    Step(1, "UPDATE shop_product", "shop/views.py:17", waits_for=(0,)),
    Step(0, "COMMIT", "tests.py:9"),
)
SOLD = {"shop_product": ('+{"stock": 7}', '-{"stock": 10}')}


def an_order(*statuses: int, **changes: object) -> OrderCase:
    plain = OrderCase(
        address="AABBA",
        steps=STEPS,
        choices=(),
        answers=tuple(Answer(status=status) for status in statuses or (201, 201)),
        rows={"shop_product": Rows(1, 1)},
        content=SOLD,
        preemptions=1,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


SERIAL = [an_order(preemptions=0), an_order(preemptions=0)]


def verdict(case: OrderCase, *serial: OrderCase, errors: str = "broken", by_rows: bool = True) -> Verdict:
    return judge(case, serial or SERIAL, errors=errors, by_rows=by_rows)  # type: ignore[arg-type]


def test_an_order_like_a_serial_one_is_kept() -> None:
    assert verdict(an_order()) == Verdict("kept")


def test_a_swallowed_error_is_held_against_an_order_whose_client_was_not_told() -> None:
    found = verdict(an_order(swallowed={1: "shop/views.py:12"}))
    assert found.kind == "broken"
    assert found.reason.startswith("success without effect: the client was told that all is well, but an error ")
    assert "inside atomic() at shop/views.py:12, and what the block had written was rolled back" in found.reason
    told = an_order(201, 409, swallowed={1: "shop/views.py:12"})
    assert verdict(told, replace(told, swallowed={})) == Verdict("kept")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"invariant": "9 in stock"}, "invariant: 9 in stock"),
        ({"held_open": 1}, "left open: a session is idle in a transaction after the answer"),
        ({"content": {}}, "not serial: answers and rows (201, 201) that no order one after the other has"),
        ({"content": {"shop_product": ('+{"stock": 9}',)}}, "not serial: "),
        ({"answers": (Answer(status=201), Answer(status=409))}, "not serial: answers and rows (201, 409) "),
        (
            {"answers": (Answer(status=201), Answer(error="E: no DETAIL: x", raised=True))},
            "an error in this order only: E: no",
        ),
        ({"answers": (Answer(status=500), Answer(status=201))}, "an error in this order only: 500"),
        (
            {"answers": (Answer(status=500, error="OperationalError: any"), Answer(status=201)), "deadlock": True},
            "an error in this order only: deadlock detected",
        ),
        ({"answers": (Answer(value=True), Answer(value=True))}, "not serial: "),
    ],
)
def test_a_broken_order_is_found(changes: dict[str, object], reason: str) -> None:
    found = verdict(an_order(**changes))
    assert found.kind == "broken"
    assert found.reason.startswith(reason)


def test_an_order_that_could_not_be_followed_is_void_whatever_else() -> None:
    assert verdict(an_order(diverged="step 3", invariant="x")) == Verdict("void", "step 3")


def test_an_error_that_a_serial_order_has_too_is_not_the_orders() -> None:
    failing = an_order(201, 500, content={})
    assert verdict(failing, failing).kind == "kept"
    assert verdict(failing, failing, an_order()).kind == "kept"
    other = an_order(500, 201, content={})
    assert verdict(other, failing).kind == "broken"  # there it is the other request's


def test_an_allowed_error_is_counted_and_its_rows_are_not_compared() -> None:
    failing = an_order(201, 500, content={})
    assert verdict(failing, errors="allow") == Verdict("error", "an error in this order only: 500")
    assert verdict(replace(failing, invariant="x"), errors="allow").kind == "broken"


def test_with_an_invariant_rows_do_not_tell() -> None:
    assert verdict(an_order(content={}), by_rows=False).kind == "kept"


def test_numbers_and_texts_that_are_returned_may_be_keys() -> None:
    returned = [an_order(answers=(Answer(value=1), Answer(value="a")))]
    assert verdict(an_order(answers=(Answer(value=2), Answer(value="b"))), *returned).kind == "kept"


def test_the_cut_request_may_fail_and_another_may_not() -> None:
    steps = (*STEPS[:4], replace(STEPS[4], cut=True))
    mine = an_order(500, 201, steps=steps, content={})
    assert verdict(mine).kind == "kept"
    other = an_order(201, 500, steps=steps, content={})
    assert verdict(other, errors="allow").reason == "A's connection was cut and an error in this order only: 500"
    assert verdict(replace(mine, invariant="half")).kind == "broken"


def test_addresses_are_letters() -> None:
    assert address(STEPS) == "AABBA"
    assert address((*STEPS[:4], replace(STEPS[4], cut=True))) == "AABB!A"
    assert read_address("AABBA", 2) == ((0, 0, 1, 1, 0), None)
    assert read_address(" AABB!A", 2) == ((0, 0, 1, 1, 0), 4)
    for bad in ("", "!", "ABC", "A1"):
        with pytest.raises(Unfit, match="is no order of 2 requests"):
            read_address(bad, 2)


def test_what_is_told_of_a_deadlock_leaves_open_who_was_ended() -> None:
    one = an_order(500, 201, deadlock=True)
    other = an_order(201, 500, deadlock=True, content={})
    assert one.told == other.told
    assert replace(one, deadlock=False).told != replace(other, deadlock=False).told


def a_change(new: list[dict[str, object]], gone: list[dict[str, object]]) -> Change:
    return Change(Table(1, "t", "t", True, (), ("id",), frozenset({"id", "made"}), view=False), new, gone)


def test_content_leaves_out_what_is_drawn() -> None:
    change = a_change(
        [{"id": 7, "made": "now", "n": 2, "order_id": 3, "doc": {"pk": 1, "x": [{"id": 2, "y": 3}]}, "luck": 0.4}], []
    )
    found = content({"t": change}, {"t": frozenset({"luck"})}, {})
    assert found == {"t": ('+{"doc": {"x": [{"y": 3}]}, "n": 2}',)}
    assert content({"t": change}, {}, {"t": frozenset({"n", "doc", "luck"})}) == {"t": ("+{}",)}


def test_volatile_is_what_differs_between_two_runs() -> None:
    one = a_change([{"id": 1, "a": 1, "b": "x"}, {"id": 2, "a": 2, "b": "y"}], [])
    other = a_change([{"id": 1, "a": 2, "b": "x"}, {"id": 2, "a": 1, "b": "z"}], [])
    assert volatile({"t": one}, {"t": other}) == {"t": frozenset({"b"})}
    assert volatile({"t": one}, {}) == {}


def test_report_groups_by_reason_and_shows_the_first() -> None:
    broken = Verdict("broken", "invariant: 9 in stock")
    judged = [Judged(an_order(), Verdict("kept")), Judged(an_order(), broken), Judged(an_order(address="AB"), broken)]
    first = headline(judged, 2, 2, 1.25)
    assert first == (
        "every_order: 2 requests, 3 orders with at most 2 preemptions in 1.2 s: 1 as one after the other, 2 broken"
    )
    assert report(first, judged, [], lambda letters: f"pytest x --lab-order {letters}").splitlines() == [
        first,
        "",
        "invariant: 9 in stock  [2 orders]",
        "",
        "    request A                              request B",
        "    begins",
        "    SELECT shop_product  shop/views.py:12",
        "                                           begins",
        "                                           UPDATE shop_product  shop/views.py:17  waits for a lock of A",
        "    COMMIT  tests.py:9",
        "    -> 201                                 -> 201",
        "  rows shop_product ~1",
        "  see it again: pytest x --lab-order AABBA",
    ]


def test_void_orders_are_said_with_their_reason() -> None:
    void = Judged(an_order(), Verdict("void", "step 4 is to be A's, but its request is over"))
    assert "1 void" in headline([void], 2, None, 0.1)
    why = "void, because what the requests do is not the same from run to run: "
    assert notes([void], ["so"]) == ["so", f"{why}step 4 is to be A's, but its request is over"]


def test_story_tells_one_order() -> None:
    assert story(Judged(an_order(), Verdict("kept"))).splitlines()[0] == "order AABBA: as one after the other"


def test_only_going_on_instead_of_one_that_could_is_a_preemption() -> None:
    assert Choice((0, 1), 1, 0).preempts(1)
    assert not Choice((0, 1), 0, 0).preempts(0)
    assert not Choice((1,), 1, 0).preempts(1)
    assert not Choice((0, 1), 1, None).preempts(1)
