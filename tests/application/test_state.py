"""Rows between cases: the database after is the database before, by a hash of everything."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from fix_state import KEEPER, Database
from state_work import Work

from lab.application.state import save
from lab.rig.postgres.database import SUPERUSER

ROUNDS = 80


@pytest.mark.slow
@pytest.mark.parametrize("counting", [None, False], ids=["default", "hashing"])
@pytest.mark.parametrize("user", [KEEPER, SUPERUSER], ids=["owner", "superuser"])
def test_random_work_leaves_the_database_as_it_was(
    new_database: Callable[[], Database], user: str, counting: bool | None, lab_seed: int
) -> None:
    database = new_database()
    control = database.wrapper(user)
    pid = control.connection.info.backend_pid
    saved = save({"default": control}, counting=counting)
    before = database.digest()
    done = 0
    for number in range(ROUNDS):
        work = Work(database, random.Random(f"{lab_seed} {user} {counting} {number}"))
        done += work.run()
        database.end_sessions(but=pid)
        work.close()
        saved.restore()
        assert database.digest() == before, f"round {number}: {work.said}"
        assert saved.tally() == {}
    assert done > ROUNDS  # the work is not for nothing
    saved.close()
    control.close()
    assert database.digest() == before
