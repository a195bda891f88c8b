"""A backend of the zoo, ready for plans; its parameter is its name and its driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.check.probe import probe
from lab.records.codec import encode
from lab.records.variant import Traits, Variant
from lab.rig.base import BaseRig
from lab.subject.handle import Zygote

TESTS = Path(__file__).resolve().parent
_seen: dict[bytes, Traits] = {}


def probed(zygote: Zygote, rig: BaseRig) -> Zygote:
    """The zygote with what a check's first look sees of its variant: taken once, by the first test that asks for it.

    A look costs up to a second of processor time, more than most plans that are judged by it.
    """
    key = encode(zygote.variant)
    if key not in _seen:
        _seen[key] = probe(zygote.variant, rig, zygote)
    zygote.traits = _seen[key]
    return zygote


@pytest.fixture
def zygote(request: pytest.FixtureRequest, rig: BaseRig) -> Iterator[Zygote]:
    """Its zygote, with what it was seen to keep."""
    name, driver = request.param
    variant = Variant(name=name, engine=f"zoo.{name}", driver=driver, path=(str(TESTS),))
    with closing(Zygote(variant, rig.folder, rig.environ())) as zygote:
        yield probed(zygote, rig)
