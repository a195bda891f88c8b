"""One request without any fault, before any plan: what cannot serve that cannot be judged, and is told so at once."""

from __future__ import annotations

import msgspec

from lab.errors import ServesNothing
from lab.records.history import Op
from lab.records.plan import Begin, End, Enter, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.secret import mask_text
from lab.records.variant import Variant
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import Zygote

BOUND = 4.0
"""Seconds for each step: with the start of the subject what is wrong is said within five."""

READ_ONLY = "25006"


def rehearse(variant: Variant, zygote: Zygote, rig: RigProtocol) -> bool:
    """Serve one request; whether the alias is read-only. Raises ServesNothing."""
    steps = (Begin("t0"), Read("t0"), Enter("t0"), Write("t0"), Leave("t0"), End("t0"))
    record = run(Plan(variant=variant, steps=steps, bound=BOUND), rig, zygote, liveness=False)
    # What goes wrong when the request is over has been served, and is for the promises to judge.
    failed = next((op for op in record.ops if op.type in ("fail", "info") and op.f != "end"), None)
    if failed is None and not record.void and record.fate == "ended":
        return False
    if failed is not None and failed.f in ("write", "leave") and READ_ONLY in [link.sqlstate for link in failed.chain]:
        note = "read-only: it is judged for what needs no write"
        zygote.traits = msgspec.structs.replace(zygote.traits, notes=(*zygote.traits.notes, note))
        return True
    raise ServesNothing(
        f"{variant.name} does not serve a request without any fault: {_why(record, failed, zygote)}",
        "a backend that makes its own password is judged with --any-password" if _password(failed) else _remedy(zygote),
    )


def _why(record: Record, failed: Op | None, zygote: Zygote) -> str:
    """The driver's own words where there are any."""
    if failed is None:
        return record.void or f"its process {record.fate} {record.exit}".strip()
    first = failed.chain[-1] if failed.chain else None
    if first is None:
        return f"an error at {failed.f}"
    if first.cls == "lab.Hung":
        said = zygote.last_words()
        return f"nothing came back within {BOUND:.0f} s at {failed.f}" + (f"; it said: {said}" if said else "")
    return f"{first.cls.rpartition('.')[2]} at {failed.f}: {mask_text(first.text, zygote.secrets)}"


def _password(failed: Op | None) -> bool:
    return failed is not None and any("password authentication failed" in link.text for link in failed.chain)


def _remedy(zygote: Zygote) -> str:
    said = zygote.last_words()
    if "password authentication failed" in said:
        return "a backend that makes its own password is judged with --any-password"
    return "see that it serves one with an empty database and a user without rights"
