"""A printed address says the same each time, with both drivers, on a machine that is busy with other tests."""

from __future__ import annotations

import pytest

from fix_application import Project

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

REPLAYS = """
import os
import re
from collections import Counter
from dataclasses import replace
import pytest
from books import books
from lab.application import library
from lab.application.failure import Broken

def told(call):
    try:
        said = library.every_cut(call, books).told
    except Broken as broken:
        said = str(broken)
    return said

@pytest.mark.django_db(transaction=True)
def test_replays(shop, client):
    session = library.session()
    call = lambda: client.post("/wrong/orders/", {"sku": "a", "n": 1})
    session.options = replace(session.options, ways=("fin", "rst"))
    addresses = re.findall(r"^ +(c1:[a-z:0-9-]+[+]0 (?:fin|rst)) ", told(call), re.MULTILINE)
    assert len(addresses) == 4
    said = Counter()
    for n in range(int(os.environ["REPLAYS"])):
        address = addresses[n % len(addresses)]
        session.options = replace(session.options, cut=address)
        said[address, told(call)] += 1
    assert len(said) == len(addresses), said
    print(f"replays={sum(said.values())} addresses={len(said)}")
"""


@pytest.mark.parametrize("replays", [40, pytest.param(500, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("driver", ["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)])
def test_address_replays_to_the_same_story(
    project: Project, driver: str, replays: int, request: pytest.FixtureRequest
) -> None:
    if replays > 40:
        request.getfixturevalue("busy_machine")
    project.write("test_replays.py", REPLAYS)
    ran = project.pytest(f"--lab-driver={driver}", "test_replays.py", environ={"REPLAYS": str(replays)})
    assert ran.outcomes == {"test_replays": "passed"}, ran.text
    assert f"replays={replays} addresses=4" in ran.text
