"""The parameters of every registered fault: defaults that work, and a clear refusal of what does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import inspect

from lab.errors import PlanInvalid, UnknownName
from lab.fault import FAULTS, build
from lab.records.plan import FaultSpec

KINDS = list(FAULTS)


def bad_parameters() -> list[tuple[str, str, Any]]:
    """For each field: a value of another type, one past each bound, one that is not among its choices."""
    found: list[tuple[str, str, Any]] = []
    for kind in KINDS:
        described = inspect.type_info(FAULTS.get(kind))
        assert isinstance(described, inspect.StructType)
        for field in described.fields:
            found.append((kind, field.name, ["a list"]))
            if isinstance(field.type, inspect.IntType):
                found += [(kind, field.name, bound) for bound in beyond(field.type)]
            if isinstance(field.type, inspect.LiteralType):
                found.append((kind, field.name, "nonsense"))
    return found


def beyond(kind: inspect.IntType) -> list[int]:
    assert kind.ge is not None, "no lower bound"
    assert kind.le is not None, "no upper bound"
    return [kind.ge - 1, kind.le + 1, -1]


@pytest.mark.parametrize("kind", KINDS)
def test_fault_is_built_from_its_name_alone(kind: str) -> None:
    fault = build(FaultSpec(kind=kind))
    assert fault == FAULTS.get(kind)()
    assert build(FaultSpec(kind=kind, params=msgspec.to_builtins(fault))) == fault


@pytest.mark.parametrize(("kind", "name", "value"), bad_parameters())
def test_bad_parameter_is_refused(kind: str, name: str, value: object) -> None:
    with pytest.raises(PlanInvalid, match=kind):
        build(FaultSpec(kind=kind, params={name: value}))


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_parameter_is_refused(kind: str) -> None:
    with pytest.raises(PlanInvalid, match="nonsense"):
        build(FaultSpec(kind=kind, params={"nonsense": 1}))


def test_jitter_must_leave_a_delay_that_can_be_seen() -> None:
    with pytest.raises(PlanInvalid, match="latency_ms - jitter_ms"):
        build(FaultSpec(kind="latency", params={"latency_ms": 100, "jitter_ms": 96}))


def test_unknown_fault_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownName, match="sever-fin"):
        build(FaultSpec(kind="sever"))


@pytest.mark.parametrize("kind", KINDS)
def test_fault_says_in_one_line_what_it_is(kind: str) -> None:
    first = (FAULTS.get(kind).__doc__ or "").splitlines()[0]
    assert first.endswith("."), "the sentence must end on the first line: `lab list faults` shows no more"
    assert 20 < len(first) <= 115
    for field in msgspec.structs.fields(FAULTS.get(kind)):
        assert f"`{field.name}`" in (FAULTS.get(kind).__doc__ or ""), f"the docstring does not state {field.name}"
