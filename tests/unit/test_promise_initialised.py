from __future__ import annotations

from typing import Any

import msgspec

from lab.promises.initialised import INIT
from lab.records.plan import Begin, End, Look, Sql
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from unit.histories import Line, hung, lost, ok, record, strike, verdict

INITIALISED = "initialised"
T = "t0"
CONFIGURED = Variant(
    name="configured",
    settings={"TIME_ZONE": "Pacific/Auckland"},
    options={"isolation_level": 3, "assume_role": "lab_other"},
)
RIGHT: dict[str, Any] = {
    "timezone": "Pacific/Auckland",
    "isolation": "read committed",
    "role": "lab_other",
    "autocommit": True,
}
INSIDE = {**RIGHT, "in_atomic": True, "autocommit": False, "isolation": "serializable"}


def requests(*lines: Line, init: tuple[str, ...] = (), variant: Variant = CONFIGURED, **traits: Any) -> Record:
    told = [each for line in lines for each in (ok(Begin(T)), line, ok(End(T)))]
    made = record(*told, variant=variant, traits=Traits(**traits))
    return msgspec.structs.replace(made, plan=msgspec.structs.replace(made.plan, init=init))


def test_as_configured() -> None:
    assert verdict(INITIALISED, requests(ok(Look(T), on="1@a", **RIGHT), ok(Look(T), on="2@b", **INSIDE))) == "kept"


def test_not_as_configured() -> None:
    for wrong in ({"timezone": "UTC"}, {"role": "lab_s00"}, {"autocommit": False}):
        assert verdict(INITIALISED, requests(ok(Look(T), **{**RIGHT, **wrong}))) == "broken"
    assert verdict(INITIALISED, requests(ok(Look(T), **{**INSIDE, "isolation": "read committed"}))) == "broken"


PLAIN = Variant(name="plain")


def in_block(level: str) -> Line:
    return ok(Look(T), on="1@a", in_atomic=True, autocommit=False, isolation=level)


def test_a_level_that_no_options_name_is_that_of_the_first_look() -> None:
    assert verdict(INITIALISED, requests(in_block("serializable"), in_block("serializable"), variant=PLAIN)) == "kept"
    changed = (in_block("read committed"), in_block("serializable"))
    assert verdict(INITIALISED, requests(*changed, variant=PLAIN)) == "broken"
    by_hand = ok(Sql(T, "SET default_transaction_isolation = 'serializable'"))
    assert verdict(INITIALISED, requests(changed[0], by_hand, changed[1], variant=PLAIN)) != "broken"


def test_a_replaced_session_is_looked_at_too() -> None:
    first, later = ok(Look(T), on="1@a", **RIGHT), ok(Look(T), on="2@b", **{**RIGHT, "timezone": "UTC"})
    assert verdict(INITIALISED, requests(first, later)) == "broken"


def test_what_a_receiver_does() -> None:
    done = {**RIGHT, "mark": "initialised", "statement_timeout": "55s"}
    assert verdict(INITIALISED, requests(ok(Look(T), **done), init=INIT)) == "kept"
    assert verdict(INITIALISED, requests(ok(Look(T), **{**done, "mark": ""}), init=INIT)) == "broken"


def test_autocommit_off_in_the_settings() -> None:
    off = Variant(name="off", settings={"AUTOCOMMIT": False})
    assert verdict(INITIALISED, requests(ok(Look(T), autocommit=False), variant=off, autocommit=False)) == "kept"
    assert verdict(INITIALISED, requests(ok(Look(T), autocommit=True), variant=off, autocommit=False)) == "broken"


def test_no_session_can_be_set_up() -> None:
    assert verdict(INITIALISED, requests(lost(Look(T)), hung(Look(T)))) == "broken"
    struck = record(strike("refuse"), ok(Begin(T)), lost(Look(T)), ok(End(T)), variant=CONFIGURED)
    assert verdict(INITIALISED, struck) == "unknown"


def test_what_the_request_changed_itself() -> None:
    told = (ok(Begin(T)), ok(Sql(T, "SET ROLE lab_other")), ok(Look(T), **{**RIGHT, "role": "x"}), ok(End(T)))
    assert verdict(INITIALISED, record(*told, variant=CONFIGURED)) == "kept"


def test_nobody_looked() -> None:
    assert verdict(INITIALISED, record(ok(Begin(T)), ok(End(T)), variant=CONFIGURED)) == "unknown"


def test_server_options_of_the_configuration() -> None:
    asked = Variant(name="asks", options={"options": "-c lab.mark=initialised"})
    plain: dict[str, Any] = {"autocommit": True}
    assert verdict(INITIALISED, requests(ok(Look(T), **plain, mark="initialised"), variant=asked)) == "kept"
    assert verdict(INITIALISED, requests(ok(Look(T), **plain, mark=""), variant=asked)) == "broken"
