"""A `stop` is answered when its thread has ended, with all that lay in the thread's own storage."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lab.records.plan import Begin, End, Plan, Read, Stop
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.run import run
from lab.subject.handle import Zygote

SECONDS = 0.4
ENDS_LATE = f"""
import threading, time
from django.db.backends.postgresql import base

held = threading.local()

class Goodbye:
    def __del__(self):
        time.sleep({SECONDS})

class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params):
        held.goodbye = Goodbye()
        return super().get_new_connection(conn_params)
"""


def test_it_is_answered_after_the_end_of_its_thread(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "ends_late").mkdir()
    (tmp_path / "ends_late" / "base.py").write_text(ENDS_LATE)
    variant = Variant(name="ends-late", engine="ends_late", path=(str(tmp_path),))
    steps = (Begin("t1"), Read("t1"), Stop("t1"), Begin("t0"), Read("t0"), End("t0"))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        record = run(Plan(variant=variant, steps=steps), rig, zygote)
    at = {(op.f, op.type): op.time for op in record.ops if op.phase == "safety" and op.actor == "t1"}
    assert at["stop", "ok"] - at["stop", "invoke"] >= SECONDS * 1e9
    assert {op.type for op in record.ops} == {"invoke", "ok"}
