"""A backend of the zoo, ready for plans; its parameter is its name and its driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.check.probe import probe
from lab.records.variant import Variant
from lab.rig.base import BaseRig
from lab.subject.handle import Zygote

TESTS = Path(__file__).resolve().parent


@pytest.fixture
def zygote(request: pytest.FixtureRequest, rig: BaseRig) -> Iterator[Zygote]:
    """Its zygote, with what it was seen to keep."""
    name, driver = request.param
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        zygote.traits = probe(variant, rig, zygote)
        yield zygote
