from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from lab.errors import StoreUnwritable
from lab.records.census import Census, Row, Session
from lab.records.codec import decode_plan
from lab.records.history import Cause, Event, Op
from lab.records.landing import Landing
from lab.records.plan import Begin, End, FaultSpec, Inject, Plan, Read
from lab.records.record import Record
from lab.records.variant import Traits, Variant
from lab.records.verdict import Finding, Verdict
from lab.store import Store, read_case, slug, write

PLAN = Plan(variant=Variant(name="v"), steps=(Begin("t0"), Inject(FaultSpec("sever-fin")), Read("t0"), End("t0")))
RECORD = Record(
    plan=PLAN,
    run="abc",
    traits=Traits(versions={"django": "5.2"}, conn_max_age=None),
    ops=(Op(time=1, type="fail", actor="t0", step=2, f="read", chain=(Cause("E", "57P01", "gone"),)),),
    events=(Event(time=2, step=1, f="inject", fault="sever-fin"),),
    census=(Census(time=3, at="final", sessions=(Session(7, "1.5", xact=True),)),),
    landings=(Landing(kind="sever-fin", step=1, time=2, landed=True, struck=("7@1.5",)),),
    journal=({"message": "Query", "time": 4},),
    rows=(Row("abc:1", "900", "7@1.5"),),
    seconds=0.5,
)
FINDINGS = (
    Finding(promise="recovers", verdict=Verdict.BROKEN, summary="no", steps=(2,)),
    Finding(promise="durable", verdict=Verdict.KEPT),
    Finding(promise="reuses", verdict=Verdict.UNKNOWN),
)


def test_case_reads_back_as_it_was(tmp_path: Path) -> None:
    path = Store(tmp_path).open("v", 3).keep("0001-recovers: idle", RECORD, FINDINGS, {"recovers": "2 of 2"}, "log\n")
    record, findings = read_case(path.parent)
    expected = msgspec.structs.replace(PLAN, expect={"recovers": "broken", "durable": "kept"})
    assert record == msgspec.structs.replace(RECORD, plan=expected)
    assert findings == FINDINGS
    assert (path.parent / "server.log").read_text() == "log\n"
    assert json.loads((path.parent / "verdicts.json").read_text())["agreement"] == {"recovers": "2 of 2"}


def test_plan_expects_what_was_shown_and_nothing_unknown(tmp_path: Path) -> None:
    path = Store(tmp_path).open("v", 0).keep("case", RECORD, FINDINGS)
    assert decode_plan(path.read_bytes()).expect == {"recovers": "broken", "durable": "kept"}


def test_records_gives_every_run_back_for_another_judgement(tmp_path: Path) -> None:
    folder = Store(tmp_path).open("v", 0)
    folder.keep("case", RECORD, FINDINGS)
    folder.note(RECORD, FINDINGS[1:])
    folder.note(RECORD, ())
    assert [findings for _, findings in folder.records()] == [FINDINGS, FINDINGS[1:], ()]


def test_latest_points_at_the_check_that_ended_last(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (1, 2):
        folder = store.open("my.backend", seed)
        folder.finish(b"{}\n")
    assert (tmp_path / "latest").resolve() == (tmp_path / "my.backend" / "latest").resolve() == folder.path
    assert not list(tmp_path.rglob(".*"))


def test_two_checks_in_one_second_have_two_folders(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert len({store.open("v", 0).path for _ in range(3)}) == 3


def test_store_that_is_no_folder_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritable, match=r"Not a directory; .*--store") as caught:
        Store(tmp_path / "file").open("v", 0)
    assert caught.value.status == 255


def test_full_disk_costs_the_new_evidence_and_not_the_old(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: the kernel refuses to write, whoever we are."""
    program = f"""
        import resource, signal, sys
        sys.path[:0] = [{str(Path(__file__).parent)!r}]
        from test_store import *
        folder = Store(Path({str(tmp_path)!r})).open("v", 0)
        folder.keep("first", RECORD, FINDINGS)
        folder.note(RECORD, ())
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder.path / "kept.jsonl").stat().st_size + 10,) * 2)
        def second(): folder.keep("second", RECORD, FINDINGS, None, "x" * 9999)
        for attempt in (lambda: folder.note(RECORD, ()), second):
            try:
                attempt()
            except StoreUnwritable as error:
                print(error)
        print(folder.path)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    *errors, path = done.stdout.splitlines()
    assert len(errors) == 2, done
    assert all("what was stored before is whole" in error for error in errors)
    assert [case.name for case in (Path(path) / "cases").iterdir()] == ["first"]
    assert read_case(Path(path) / "cases" / "first")[1] == FINDINGS
    assert len((Path(path) / "kept.jsonl").read_bytes().splitlines()) == 1


def test_write_leaves_a_device_a_device() -> None:
    with pytest.raises(StoreUnwritable, match="No space left"):
        write(Path("/dev/full"), b"x")
    assert os.path.exists("/dev/full")
    assert not Path("/dev/full").is_file()


@pytest.mark.parametrize(
    ("text", "name"),
    [("recovers: in atomic, FIN", "recovers-in-atomic-FIN"), ("../../etc", "etc"), ("", "unnamed"), ("…", "unnamed")],
)
def test_slug_is_a_safe_name(text: str, name: str) -> None:
    assert slug(text) == name


def test_slug_has_an_end() -> None:
    assert len(slug("x" * 500)) <= 90
