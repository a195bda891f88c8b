"""Zygotes that are open at the same time come from one process, and have nothing of each other."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from lab.errors import EngineUnusable, SubjectLost
from lab.records.plan import Begin, End, Plan, Read
from lab.records.variant import Driver, Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject import nursery
from lab.subject.handle import Zygote

pytestmark = pytest.mark.chaos

STOCK = Variant(name="stock")
PATCHES = """
import django.db.backends.postgresql.base as stock
if hasattr(stock, "patched"):
    raise RuntimeError("another variant was here")
stock.patched = True
DatabaseWrapper = stock.DatabaseWrapper
"""
REBASES = """
import django.db.backends.base.base as base

class Own(base.BaseDatabaseWrapper):
    pass

base.BaseDatabaseWrapper = Own
from django.db.backends.postgresql.base import DatabaseWrapper
if Own not in DatabaseWrapper.__mro__:
    raise RuntimeError("Django's backend was there before")
"""


def _nursery(zygote: Zygote) -> psutil.Process:
    """The process that has forked the zygote's warden."""
    warden = zygote._process
    assert isinstance(warden, nursery.Forked)
    parent = psutil.Process(warden.pid).parent()
    assert parent is not None
    return parent


def _serves(zygote: Zygote, rig: Rig) -> bool:
    record = run(Plan(variant=zygote.variant, steps=(Begin("t0"), Read("t0"), End("t0"))), rig, zygote)
    return [op.type for op in record.ops if op.f == "read" and op.type != "invoke"][:1] == ["ok"]


def test_zygotes_share_one_and_the_last_one_ends_it(rig: Rig) -> None:
    environ = {**rig.environ(), "LAB_TEST": "shared"}
    with closing(Zygote(STOCK, rig.folder, environ)) as first:
        shared = _nursery(first)
        with closing(Zygote(STOCK, rig.folder, environ)) as second:
            assert _nursery(second) == shared
            assert _serves(second, rig)
        assert shared.is_running()
        assert _serves(first, rig)
        for other in ({**environ, "LAB_TEST": "other"}, environ):  # another environment, another driver
            driver = STOCK.driver if other is not environ else "psycopg"
            with closing(Zygote(Variant(name="stock", driver=driver), rig.folder, other)) as third:
                assert _nursery(third) != shared
    assert not shared.is_running()


def test_a_zygote_has_nothing_of_another_ones_engine(rig: Rig, tmp_path: Path) -> None:
    with ExitStack() as stack:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "base.py").write_text(PATCHES)
            variant = Variant(name=name, engine=name, path=(str(tmp_path),))
            zygote = stack.enter_context(closing(Zygote(variant, rig.folder, rig.environ())))
            assert _serves(zygote, rig)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_an_engine_may_replace_a_base_class_before_it_imports_djangos(driver: Driver, rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "rebased").mkdir()
    (tmp_path / "rebased" / "base.py").write_text(REBASES)
    variant = Variant(name="rebased", engine="rebased", driver=driver, path=(str(tmp_path),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        assert isinstance(zygote._process, nursery.Forked)
        assert _serves(zygote, rig)


def test_where_it_was_killed_its_zygotes_are_lost_and_the_next_one_starts(rig: Rig) -> None:
    environ = {**rig.environ(), "LAB_TEST": "killed"}
    with closing(Zygote(STOCK, rig.folder, environ)) as lost:
        shared = _nursery(lost)
        below = shared.children(recursive=True)
        os.kill(shared.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(below, timeout=10.0)
        assert not alive
        with pytest.raises(SubjectLost, match="does not answer"):
            lost.fork({}, {})
        with closing(Zygote(STOCK, rig.folder, environ)) as next_one:
            assert _serves(next_one, rig)


def test_an_interpreter_of_its_own_starts_below_its_warden(rig: Rig, tmp_path: Path) -> None:
    """What it runs as it starts (sitecustomize, .pth files) is held by the kernel, as all that it imports is."""
    own = tmp_path / "python"
    own.symlink_to(os.path.realpath(sys.executable))
    environ = {**rig.environ(), "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with closing(Zygote(Variant(name="stock", python=str(own)), rig.folder, environ)) as zygote:
        assert not isinstance(zygote._process, nursery.Forked)
        assert _serves(zygote, rig)


def test_a_driver_on_the_variants_path_comes_before_the_labs_own(tmp_path: Path) -> None:
    (tmp_path / "psycopg2.py").write_text("raise ImportError('the one of the path')")
    variant = Variant(name="stock", path=(str(tmp_path),))
    with pytest.raises(EngineUnusable, match="the one of the path"):
        Zygote(variant, tmp_path)


def test_where_a_warden_was_killed_the_signal_is_named(tmp_path: Path) -> None:
    (tmp_path / "orphaned").mkdir()
    kills = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nsignal.pause()"
    (tmp_path / "orphaned/base.py").write_text(kills)
    with pytest.raises(EngineUnusable, match="ended its interpreter by SIGKILL while it was imported"):
        Zygote(Variant(name="orphaned", engine="orphaned", path=(str(tmp_path),)), tmp_path)


def test_a_long_value_of_the_environment_delays_no_zygote(tmp_path: Path) -> None:
    """One that is looked through for URLs with a password; the longest that Linux takes."""
    with closing(Zygote(STOCK, tmp_path, {"LAB_TEST": "x" * 120_000})) as zygote:
        assert zygote.engine == STOCK.engine
