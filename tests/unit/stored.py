"""Stores made by hand: one case of a COMMIT whose answer is lost, and something for each kind of page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from lab.judging.judge import judge
from lab.records.plan import Begin, End, Enter, Leave, Read, Write
from lab.records.record import Record
from lab.records.result import PromiseResult, Result, VariantInfo, encode_results
from lab.records.variant import Variant
from lab.records.verdict import Finding, Verdict
from lab.store import STRIP, TABLE, CheckFolder, Store
from unit.histories import GONE, census, heal, lost, ok, record, session, skipped, strike

MINE = Variant(name="mine", engine="my.engine", claims=("recovers",))
BROKEN = Finding(promise="recovers", verdict=Verdict.BROKEN, summary="after the heal t0 got an error", steps=(7,))


def told(variant: Variant = MINE) -> Record:
    """A COMMIT whose answer is lost, then a request that fails, as a published backend has it."""
    made = record(
        ok(Begin("t0")),
        ok(Enter("t0")),
        ok(Write("t0"), on="77@1.5", xid=9),
        strike("limit-data", "77@1.5"),
        census(session("77@1.5", "idle in transaction", xact=True, locks=3), at="inject"),
        lost(Leave("t0")),
        lost(End("t0")),
        heal(),
        lost(Begin("t0")),
        skipped(Read("t0")),
        ok(End("t0")),
        census(at="final"),
        rows=(2,),
        variant=variant,
    )
    return msgspec.structs.replace(made, xacts={"9": "committed"}, began=1000.0, journal=JOURNAL)


JOURNAL: tuple[dict[str, Any], ...] = (
    {"kind": "event", "connection": 1, "event": "accept", "at_ns": 5, "detail": "127.0.0.1:1"},
    {"kind": "message", "connection": 1, "direction": "upstream", "name": "Query", "verb": "INSERT", "at_ns": 41},
    {"kind": "message", "connection": 1, "direction": "downstream", "name": "ReadyForQuery", "tx": "T", "at_ns": 42},
    {
        "kind": "message",
        "connection": 1,
        "direction": "upstream",
        "name": "Query",
        "at_ns": 61,
        "moments": ["commit-sent"],
    },
    {
        "kind": "act",
        "connection": 1,
        "way": "drop-reply",
        "sides": "both",
        "moment": "commit-acked",
        "message": "CommandComplete",
        "byte": 0,
        "direction": "downstream",
        "at_ns": 62,
    },
    {"kind": "event", "connection": 1, "event": "fin", "side": "server", "at_ns": 79},
)


def stored(root: Path, variant: Variant = MINE, *, log: str = "", over: bool = True) -> CheckFolder:
    """A store with one check of one case."""
    folder = Store(root).open(variant.name, 7)
    made = told(variant)
    evidence = folder.keep("0001 recovers", made, [BROKEN, *judge(made)[1:3]], {"recovers": "2 of 2 runs agree"}, log)
    if over:
        folder.finish(encode_results([result(variant, str(evidence))]))
    return folder


def result(variant: Variant = MINE, *evidence: str, verdict: Verdict = Verdict.BROKEN, **versions: str) -> Result:
    found = PromiseResult(
        verdict=verdict,
        claimed=True,
        cause="recovers",
        cases=4,
        summary="at COMMIT: <b>dead</b>",
        moments={"at COMMIT": verdict, "idle": Verdict.KEPT},
        evidence=evidence,
    )
    options = {"password": "hunter2", "connect_timeout": 5}
    return Result(
        verdict=verdict,
        variant=VariantInfo(name=variant.name, engine="my.engine", driver="psycopg2", options=options),
        versions={"django": "5.2", **versions},
        seed=7,
        seconds=1.5,
        cases=9,
        void=0,
        promises={"recovers": found},
    )


CUTS = {
    "kind": "cuts",
    "variant": "mine",
    "claims": ["recovers"],
    "ways": ["fin", "rst"],
    "points": [{"direction": "upstream", "name": "query-sent"}, {"direction": "downstream", "name": "commit-acked"}],
    "strip": {
        "fin": {"upstream": ["A"], "downstream": ["?"]},
        "rst": {"upstream": ["-"], "downstream": ["e"]},
    },
    "classes": [
        {"class": "A", "count": 1, "promises": ["recovers", "durable"], "evidence": "x/cases/0001-recovers/plan.json"},
        {"class": "?", "count": 1, "evidence": "x/cases/none/plan.json"},
        {"class": "e", "count": 1},
    ],
    "void": 1,
    "seconds": 2.5,
}
ORDERS = {
    "kind": "interleavings",
    "variant": "mine",
    "requests": ["rollback", "close"],
    "orders": 2,
    "all_orders": 70,
    "cases": 2,
    "preemptions": 1,
    "classes": [
        {"class": "e", "count": 1, "promises": []},
        {"class": "E", "count": 1, "promises": ["atomic"], "evidence": "x/cases/0001-recovers/plan.json"},
    ],
    "orders_by_class": {"E": [{"order": "0110", "fault_at": 2}], "e": [{"order": "0011"}]},
}
TIMEOUTS = {
    "kind": "timeouts",
    "variant": "mine",
    "driver": "psycopg2",
    "versions": {"django": "5.2"},
    "horizon": 20.0,
    "rows": [{"name": "its own", "options": {"connect_timeout": 3, "password": "hunter2", "keepalives": None}}],
    "cells": [
        {"settings": "its own", "loss": "blackout", "situation": "connects", "seconds": 3.1, "by": "connect_timeout"},
        {"settings": "its own", "loss": "blackout", "situation": "waits"},
        {"settings": "its own", "loss": "black-hole", "situation": "waits", "void": "busy"},
    ],
    "settings": [],
    "holes": [{"loss": "blackout", "situation": "waits", "remedy": "set keepalives"}],
    "notes": ["a note"],
}

OWN = {
    "kind": "own-tests",
    "test": "test_shop.py::test_order",
    "headline": "every_cut: 3 statements, 8 cuts in 0.8 s: 2 broken",
    "clean": "clean run: 201, rows shop_order +1",
    "notes": ["a note"],
    "ended": 1000.5,
    "groups": [
        {
            "reason": "invariant: 9 in stock",
            "cases": [
                {
                    "address": "c1:ready:3+0 fin",
                    "says": "before",
                    "place": "a.py:1",
                    "got": "500",
                    "rows": "no rows",
                    "replay": "pytest test_shop.py::test_order --lab-cut 'c1:ready:3+0 fin'",
                },
            ],
            "example": {
                "statements": [{"says": "SELECT shop_product", "place": "a.py:1"}],
                "answers": ["-> 500: OperationalError"],
                "wire": ["c1 -> up#4 Query SELECT"],
                "logged": ["ERROR django.request: no"],
            },
        },
        {
            "reason": "not serial",
            "cases": [
                {"address": "ABBA", "says": "", "place": "", "got": "201, 201", "rows": "no rows", "replay": "pytest x"}
            ],
            "example": {
                "turns": [{"actor": 0, "says": ""}, {"actor": 1, "says": "COMMIT", "waits_for": [0], "cut": True}],
                "answers": ["-> 201", "-> 201"],
            },
        },
    ],
}

DIFFERS = {
    "kind": "versions",
    "corners": {"5.2/psycopg2": "Django 5.2.19, Python 3.11.7", "5.2/psycopg": "Django 5.2.19, Python 3.13.0"},
    "claims": {"mine": ["recovers"]},
    "found": {
        "mine": {
            "5.2/psycopg2": {"says": "mine: kept", "verdicts": {"recovers": "kept", "atomic": "broken"}},
            "5.2/psycopg": {"says": "mine: broken", "verdicts": {"recovers": "broken", "atomic": "broken"}},
        }
    },
    "differences": [
        {
            "variant": "mine",
            "promise": "recovers",
            "moment": "at COMMIT",
            "verdicts": {"5.2/psycopg2": "kept", "5.2/psycopg": "broken"},
            "plan": "p",
            "examples": {"5.2/psycopg": "x/cases/0001-recovers/plan.json", "5.2/psycopg2": "../none/plan.json"},
        }
    ],
    "unsteady": [{"variant": "mine", "promise": "atomic", "moment": "", "verdicts": {"5.2/psycopg2": "unknown"}}],
    "left_out": {"6.1/3.11 mine": "no such pair"},
}

UNEXPECTED = "unexpected EOF on client connection"


def store_of_every_kind(root: Path) -> None:
    """A store with something for each kind of page."""
    for variant in (MINE, Variant(name="another_rather_long_name", engine="a.b")):
        newest = stored(
            root, variant, log="1970-01-01 00:16:40.000 UTC [77] LOG:  unexpected EOF on client connection\n"
        )
        (newest.path / STRIP).write_text(json.dumps(CUTS))
    stored(root, over=False)
    for document in (CUTS, ORDERS, TIMEOUTS, OWN, DIFFERS):
        folder = root / "mine" / f"{document['kind']}-x"
        (folder / "cases").mkdir(parents=True)
        CheckFolder(root, folder).keep("0001 recovers", told(), [BROKEN])
        (folder / TABLE).write_text(json.dumps(document))
    single = CheckFolder(root, root / "mine" / "replays")
    (single.path / "cases").mkdir(parents=True)
    single.keep("a replay", msgspec.structs.replace(told(), journal=()), [BROKEN])
    (single.path / "cases/0002-damaged").mkdir()


def wide_store(root: Path) -> None:
    """A check of each of ten variants, with names and promises as long as the bundled ones."""
    for number in range(10):
        name = f"persistent_threadlocal_{number}"
        one = result(Variant(name=name, engine="my.engine"))
        promises = dict.fromkeys(("bounded-sessions", "paced-reconnects", "recovers"), one.promises["recovers"])
        Store(root).open(name, 0).finish(encode_results([msgspec.structs.replace(one, promises=promises)]))


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
"""What a stranger might write wherever a store has a text."""


def hostile_store(root: Path) -> None:
    """A store of a stranger: every text in it tries to be part of the page."""
    variant = Variant(name=EVIL, engine=EVIL, settings={EVIL: EVIL}, summary=EVIL)
    made = told(variant)
    chain = (msgspec.structs.replace(GONE, cls=f"x.{EVIL}", text=EVIL, sqlstate=EVIL),)
    ops = tuple(msgspec.structs.replace(op, actor=EVIL, chain=chain) for op in made.ops)
    landings = tuple(msgspec.structs.replace(each, kind=EVIL, evidence=EVIL, struck=(EVIL,)) for each in made.landings)
    words = dict.fromkeys(("name", "verb", "event", "way", "sides", "moment", "message"), EVIL)
    journal = tuple({**each, **words} for each in JOURNAL)
    plan = msgspec.structs.replace(made.plan, title=EVIL, promise=EVIL, moment=EVIL)
    made = msgspec.structs.replace(
        made, ops=ops, landings=landings, journal=journal, plan=plan, void=EVIL, exit=EVIL, versions={EVIL: EVIL}
    )
    folder = Store(root).open("mine", 0)
    finding = Finding(promise=EVIL, verdict=Verdict.BROKEN, summary=EVIL, steps=(1,))
    folder.keep("evil", made, [finding], {EVIL: EVIL}, f"2026-01-01 00:00:00.000 UTC [1] LOG: {EVIL}\n")
    verdicts = result(variant)
    points = [{"direction": "upstream", "name": EVIL}]
    classes = [{"class": EVIL, "count": 1, "promises": [EVIL], "evidence": f"../{EVIL}/plan.json"}]
    strip = {**CUTS, "variant": EVIL, "ways": [EVIL], "points": points, "classes": classes}
    (folder.path / STRIP).write_text(json.dumps({**strip, "strip": {EVIL: {"upstream": [EVIL]}}}))
    between = root / "versions" / "corners-1"
    (between / "cases").mkdir(parents=True)
    corner = {"says": EVIL, "verdicts": {EVIL: "kept"}}
    differs = {**dict.fromkeys(("variant", "promise", "moment"), EVIL), "verdicts": {EVIL: "kept"}}
    table = {"corners": {EVIL: EVIL}, "claims": {}, "found": {EVIL: {EVIL: corner}}, "left_out": {EVIL: EVIL}}
    (between / TABLE).write_text(json.dumps({"kind": "versions", **table, "differences": [differs]}))
    promises = {EVIL: PromiseResult(verdict=Verdict.BROKEN, claimed=True, summary=EVIL, moments={EVIL: Verdict.BROKEN})}
    folder.finish(encode_results([msgspec.structs.replace(verdicts, promises=promises)]))
