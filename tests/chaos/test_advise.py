"""Advice on real servers: a change mends the plan that it is for, known answers are found, none is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fix_cli import Lab
from lab.advice.tried import Bench, Evidence
from lab.check.subjects import subjects
from lab.check.variants import find
from lab.errors import ToolMissing
from lab.promise import PROMISES
from lab.pytest_plugin.session import Lab as LabSession
from lab.records.variant import Traits, Variant
from lab.records.verdict import Verdict
from lab.rig.netns.probe import probe

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


def evidence(promise: str, moment: str, variant: Variant | None = None) -> Evidence:
    variant = variant or find("django_persistent")
    plans = PROMISES.get(promise).plans(variant, Traits(conn_max_age=None, kept=1, pool_max=2))
    return Evidence(promise, moment, next(plan for plan in plans if plan.moment == moment), "")


def test_a_change_mends_the_plan_that_it_is_for_and_no_other(lab: LabSession) -> None:
    shown = [evidence("replaces-stale", "terminated, query first"), evidence("clean-session", "SET")]
    with subjects(lab.rig()) as started:
        bench = Bench(find("django_persistent"), shown, lab.rig(), started, lambda _: None)
        tried = [bench.tried([name]) for name in ("health-checks", "no-kept-connection")]
        checks, fresh = (each for each in tried if each is not None)
        bench.show([(each, place) for each in (bench.as_it_is, checks, fresh) for place in (0, 1)])
    assert [bench.as_it_is.verdict(place) for place in (0, 1)] == [Verdict.BROKEN] * 2
    assert [checks.mends(place) for place in (0, 1)] == [True, False]
    assert [fresh.mends(place) for place in (0, 1)] == [True, True]
    assert not checks.rules_out("reuses")
    assert fresh.rules_out("reuses")


def test_a_reset_of_the_pool_ends_what_a_request_leaves_and_keeps_the_zone(lab: LabSession) -> None:
    """DISCARD ALL alone also takes what Django sets once for each of the pool's connections."""
    pool = find("django_pool", options={"pool": {"min_size": 1, "max_size": 1}})
    moments = ("set_config()", "time zone", "role", "temp table", "advisory lock")
    shown = [evidence("clean-session", moment, pool) for moment in moments]
    with subjects(lab.rig()) as started:
        bench = Bench(pool, shown, lab.rig(), started, lambda _: None)
        reset = bench.tried(["pool-reset"])
        assert reset is not None
        bench.show([(each, place) for each in (bench.as_it_is, reset) for place in range(len(moments))])
    assert [bench.as_it_is.verdict(place) for place in range(len(moments))] == [Verdict.BROKEN] * len(moments)
    assert [reset.verdict(place) for place in range(len(moments))] == [Verdict.KEPT] * len(moments)


KNOWN = [
    ("django_persistent", "replaces-stale", "health-checks"),
    ("django_persistent", "idle-after-close", "idle-in-transaction"),
    ("django_pool", "replaces-stale", "health-checks"),
    ("django_pool", "clean-session", "pool-reset"),
    ("django_per_request", "bounded-wait", "connect-timeout"),
]


@pytest.mark.nightly
@pytest.mark.parametrize(("variant", "promise", "expected"), KNOWN)
def test_known_answers_are_found(lab_command: Lab, tmp_path: Path, variant: str, promise: str, expected: str) -> None:
    document = advised(lab_command, tmp_path, variant, promise)
    assert expected in document["changes"]
    mended = [each for each in document["promises"][promise]["moments"] if expected in each["changes"]]
    assert mended
    assert all(each["after"] in ("kept", "n/a") for each in mended)
    assert document["cost"]["before"] > 0


@pytest.mark.nightly
@pytest.mark.netns
def test_keepalives_end_a_wait_for_a_server_that_is_gone(lab_command: Lab, tmp_path: Path) -> None:
    """And a deadline of its own, which no setting of Django's is, ends one for a server that is only silent."""
    try:
        probe()
    except ToolMissing as why:
        pytest.skip(str(why))
    document = advised(lab_command, tmp_path, "django_persistent", "bounded-wait", "--rig", "netns")
    moments = {each["moment"]: each for each in document["promises"]["bounded-wait"]["moments"]}
    assert (moments["waiting, loss"]["changes"], moments["waiting, loss"]["after"]) == (["keepalives"], "kept")
    assert moments["query"]["changes"] == []
    assert moments["query"]["backends"]


@pytest.mark.nightly
def test_session_state_that_leaks_costs_the_kept_connection(lab_command: Lab, tmp_path: Path) -> None:
    document = advised(lab_command, tmp_path, "django_persistent", "clean-session")
    assert document["changes"] == []
    moments = {each["moment"]: each["otherwise"] for each in document["promises"]["clean-session"]["moments"]}
    assert moments["SET"] == moments["role"] == ["no-kept-connection"]
    assert "reuses" in document["gives_up"]["no-kept-connection"]


@pytest.mark.nightly
def test_where_no_setting_helps_a_backend_that_does_is_named(lab_command: Lab, tmp_path: Path) -> None:
    document = advised(lab_command, tmp_path, "django_per_request", "fork-safe")
    moments = document["promises"]["fork-safe"]["moments"]
    assert not any(each["changes"] for each in moments)
    assert any(each["backends"] for each in moments)


def advised(lab_command: Lab, tmp_path: Path, variant: str, promise: str, *flags: str) -> dict[str, Any]:
    """It runs all directed plans a second time, in brief: minutes on a machine that is busy."""
    done = lab_command("advise", variant, "--promise", promise, "--json", "out.json", *flags, timeout=900.0)
    assert done.returncode in (0, 1), done
    document: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    return document
