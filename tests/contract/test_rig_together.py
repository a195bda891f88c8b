"""The rig as a whole: start, neighbours, locks, and what it says when something is missing."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest

from lab.check.check import Options, check
from lab.check.variants import find
from lab.errors import LabError, ToolMissing
from lab.records.verdict import Verdict
from lab.rig import doctor
from lab.rig.embedded.rig import Rig
from lab.rig.machine import cache, port, process
from lab.rig.machine.lock import SharedLock
from lab.rig.postgres import binaries, template
from lab.rig.rigs import apart
from lab.rig.toxiproxy import binary
from lab.store import Store


def test_two_rigs_side_by_side_share_nothing(rig: Rig) -> None:
    start = time.monotonic()
    with Rig() as other:
        print(f"warm start: {time.monotonic() - start:.2f} s")  # noqa: T201 - read with pytest -s
        assert other.folder != rig.folder
        assert other.postgres.port != rig.postgres.port
        assert other.postgres.password != rig.postgres.password
        assert other.control().execute("SELECT count(*) FROM lab.token").fetchone() == (0,)
        with rig.shared():
            assert rig.control().execute("SELECT 1").fetchone() == (1,)
        left = other.folder
    assert not left.exists()


def test_a_second_rig_starts_when_it_is_asked_for_and_ends_with_the_block(rig: Rig) -> None:
    with apart(rig) as second:
        started = second()
        assert started is not None
        assert started is second()
        assert started.folder != rig.folder
        assert started.folder.is_dir()
    assert not started.folder.exists()


@pytest.mark.parametrize(("promise", "asked"), [("isolated-threads", 0), ("writable", 1)])
def test_a_check_asks_for_a_second_rig_only_where_a_plan_must_run_alone(
    rig: Rig, tmp_path: Path, promise: str, asked: int
) -> None:
    calls: list[str] = []
    options = Options(promises=(promise,), search=0.0, cuts=False, brief=True)
    (result,) = check([find("django_per_request")], rig, options, Store(tmp_path), apart=lambda: calls.append("asked"))
    assert len(calls) == asked
    assert result.promises[promise].verdict is Verdict.KEPT  # without a second one they run on the first


def test_warm_start_runs_no_initdb(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("the cached template was not used")

    monkeypatch.setattr(template, "_initdb", refuse)
    with Rig() as other:
        assert other.control().execute("SELECT 1").fetchone() == (1,)


def test_ports_lie_outside_the_kernels_own_range() -> None:
    low, high = port._outgoing_range()
    with port.reserve() as one, port.reserve() as two:
        assert one.number != two.number
        assert not low <= one.number <= high


def test_reserved_port_is_reserved_until_released() -> None:
    reserved = port.reserve()
    assert port._lock(reserved.number) is None
    reserved.release()
    again = port._lock(reserved.number)
    assert again is not None
    again.close()


def test_shared_is_shared_and_exclusive_is_not() -> None:
    lock = SharedLock()
    events: list[str] = []

    def write() -> None:
        with lock.exclusive():
            events.append("writer")

    def read() -> None:
        with lock.shared():
            events.append("late reader")

    with lock.shared():
        writer = threading.Thread(target=write)
        writer.start()
        while not lock._waiting:
            time.sleep(0.001)
        reader = threading.Thread(target=read)
        reader.start()
        with lock.shared():  # nested: must not wait behind the writer
            events.append("reader")
    writer.join()
    reader.join()
    assert events == ["reader", "writer", "late reader"]


def test_exclusive_inside_shared_is_refused() -> None:
    lock = SharedLock()
    with lock.shared(), pytest.raises(RuntimeError), lock.exclusive():
        pass
    with lock.exclusive(), lock.exclusive(), lock.shared():
        pass


def test_cache_publishes_whole_things_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built: list[Path] = []

    def build(stage: Path) -> None:
        time.sleep(0.02)
        (stage / "file").touch()
        built.append(stage)

    threads = [threading.Thread(target=cache.publish, args=["thing", build]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(built) == 1
    assert (cache.folder() / "thing" / "file").exists()
    assert not list((cache.folder() / "stage").iterdir())


def test_failed_build_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def build(stage: Path) -> None:
        (stage / "half").touch()
        raise ToolMissing("no")

    with pytest.raises(ToolMissing):
        cache.publish("thing", build)
    assert not (cache.folder() / "thing").exists()
    assert not list((cache.folder() / "stage").iterdir())


def test_cache_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolMissing, match="set XDG_CACHE_HOME"):
        cache.folder()


def test_missing_postgresql_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binaries.BINDIR_VARIABLE, str(tmp_path))
    with pytest.raises(ToolMissing, match="LAB_PG_BINDIR"):
        binaries.find()
    with pytest.raises(LabError), Rig():
        pass


def test_no_toxiproxy_and_no_go_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(binary.PATH_VARIABLE, raising=False)
    monkeypatch.setattr(binary, "_go_places", lambda: iter(()))
    with pytest.raises(ToolMissing, match="install Go"):
        binary.ensure_toxiproxy()


def test_doctor_finds_everything_here(rig: Rig) -> None:
    found = {each.name: each for each in doctor.findings()}
    assert [each for each in found.values() if not each.ok and each.name != "go"] == []
    assert found["postgresql"].version == rig.postgres.version


def test_doctor_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binaries.BINDIR_VARIABLE, str(tmp_path))
    bad = [each for each in doctor.findings() if not each.ok]
    assert {"postgresql", "database template"} <= {each.name for each in bad}
    assert all(each.remedy for each in bad)


def test_programs_in_a_closed_folder_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    if process.unprivileged() is None:
        pytest.skip("only a lab of root's runs its server as somebody else")
    source = binaries.find().bindir.parents[1]
    with tempfile.TemporaryDirectory() as closed:  # mode 0700
        for folder in (source, source.with_name(f"{source.name}.libs")):
            shutil.copytree(folder, Path(closed) / folder.name, symlinks=True)
        monkeypatch.setenv(binaries.BINDIR_VARIABLE, f"{closed}/{source.name}/pginstall/bin")
        with Rig() as rig:
            assert rig.postgres.postmaster.installation.binaries.bindir.is_relative_to(rig.folder)
            assert rig.control().execute("SELECT 1").fetchone() == (1,)
        assert Path(closed).stat().st_mode & 0o777 == 0o700
