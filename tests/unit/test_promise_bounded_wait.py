from __future__ import annotations

from lab.records.history import Event
from lab.records.plan import Begin, End, Enter, Fork, Read, Stop, Write
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from unit.histories import asks, begins, heal, hung, lost, ok, record, returns, slow, strike, verdict

BOUNDED = "bounded-wait"
T = "t0"
HOLE = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("black-hole", "1@a"))


def test_a_call_that_never_returns() -> None:
    assert verdict(BOUNDED, record(*HOLE, hung(Read(T)))) == "broken"


def test_a_call_that_returns_too_late() -> None:
    assert verdict(BOUNDED, record(*HOLE, slow(lost(Read(T)), 11))) == "broken"
    assert verdict(BOUNDED, record(*HOLE, slow(lost(Read(T)), 9))) == "kept"


def test_the_bound_that_a_variant_claims() -> None:
    claims = Variant(name="quick", bound=2.0)
    assert verdict(BOUNDED, record(*HOLE, slow(lost(Read(T)), 3), variant=claims)) == "broken"


def test_letting_go_of_a_silent_server() -> None:
    assert verdict(BOUNDED, record(*HOLE, ok(End(T)))) == "kept"
    assert verdict(BOUNDED, record(*HOLE, hung(End(T)))) == "broken"


def test_a_hang_without_a_fault_is_a_hang() -> None:
    assert verdict(BOUNDED, record(ok(Begin(T)), hung(Read(T)))) == "broken"


def test_being_refused() -> None:
    refused = (*asks(T, "1@a"), strike("refuse", "1@a"), ok(Begin(T)))
    assert verdict(BOUNDED, record(*refused, slow(lost(Read(T)), 1), ok(End(T)), heal())) == "kept"
    assert verdict(BOUNDED, record(*refused, slow(lost(Read(T)), 20), ok(End(T)), heal())) == "broken"


def test_waiting_for_others() -> None:
    crowd = (ok(Begin("t1")), ok(Read("t1"), on="1@a"))
    one = Traits(pool_max=1)
    assert verdict(BOUNDED, record(*crowd, ok(Begin(T)), lost(Read(T)), traits=one)) == "kept"
    assert verdict(BOUNDED, record(*crowd, ok(Begin(T)), hung(Read(T)), traits=one)) == "broken"
    assert verdict(BOUNDED, record(*crowd, ok(Begin(T)), ok(Read(T), on="2@b"), traits=Traits(pool_max=2))) == "unknown"


def test_a_holder_that_died() -> None:
    died = (ok(Begin("t1")), ok(Enter("t1")), ok(Write("t1"), on="1@a"), ok(Stop("t1")), ok(Begin(T)))
    one = Traits(pool_max=1)
    assert verdict(BOUNDED, record(*died, ok(Read(T), on="2@b"), traits=one)) == "kept"
    assert verdict(BOUNDED, record(*died, hung(Read(T)), traits=one)) == "broken"


def test_a_call_that_the_lab_itself_held_is_not_counted() -> None:
    told = record(ok(Begin(T)), begins(Read(T, hold=True)), slow(returns(T, on="1@a"), 20), ok(End(T)))
    held = Event(time=25, step=1, f="blocked", actor=T, where="server")
    held_record = Record(plan=told.plan, run=told.run, ops=told.ops, events=(held,))
    assert verdict(BOUNDED, told) == "broken"
    assert verdict(BOUNDED, held_record) == "unknown"


def test_a_call_that_the_heal_released_proves_nothing() -> None:
    waits = (ok(Begin(T)), ok(Read(T), on="1@a"), strike("black-hole", "1@a"), begins(Read(T)), heal())
    assert verdict(BOUNDED, record(*waits, returns(T, on="1@a"), ok(End(T)))) == "unknown"


def test_nobody_waited() -> None:
    assert verdict(BOUNDED, record(*asks(T, "1@a"))) == "unknown"
    assert verdict(BOUNDED, record(*HOLE, ok(Read(T), on="1@a"))) == "unknown"


def test_a_child_that_was_forked_during_a_call_of_another_thread() -> None:
    at_work = (ok(Begin("t1")), begins(Read("t1")), ok(Fork(T), child="c0"), returns("t1", on="1@a"), ok(End("t1")))
    asked = ok(Begin("c0.t0"))
    assert verdict(BOUNDED, record(*at_work, asked, hung(Read("c0.t0")))) == "broken"
    assert verdict(BOUNDED, record(*at_work, asked, ok(Read("c0.t0"), on="2@b"), ok(End("c0.t0")))) == "kept"
    calm = (*asks("t1", "1@a"), ok(Fork(T), child="c0"), asked, ok(Read("c0.t0"), on="2@b"), ok(End("c0.t0")))
    assert verdict(BOUNDED, record(*calm)) == "n/a"
