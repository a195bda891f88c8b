"""JSON text <-> records; the library's errors name the place in the file, ours add the remedy."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from lab.errors import PlanInvalid
from lab.records.plan import VERSION, Plan

T = TypeVar("T")


def encode(record: Any) -> bytes:
    """One record as indented JSON with a final newline; equal records give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(record, order="deterministic"), indent=1) + b"\n"


def decode_plan(text: bytes | str, source: str = "plan") -> Plan:
    """The plan in `text`; `source` names it in the error.

    Raises PlanInvalid when it is not JSON, of another version, or has an unknown step or field.
    """
    try:
        data = msgspec.json.decode(text)
        if isinstance(data, dict) and "version" not in data:  # a lone tagged Struct would let it pass
            raise msgspec.ValidationError("Object missing required field `version`")
        return msgspec.convert(data, Plan)
    except msgspec.ValidationError as error:
        raise PlanInvalid(
            f"{source} is not a plan of version {VERSION}: {error}",
            "compare it with `lab list steps`, or write it anew with `lab check --json`",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanInvalid(
            f"{source} is not JSON: {error}", "give the path of a plan.json from a store folder"
        ) from None


def convert(data: Any, kind: type[T]) -> T:
    """Plain data as a record of `kind`; raises msgspec.ValidationError with the place of what does not fit."""
    return msgspec.convert(data, kind)
