"""One request without any fault, before any plan: what cannot serve that cannot be judged, and is told so at once."""

from __future__ import annotations

import re

import msgspec

from lab.errors import ServesNothing
from lab.records.history import Op
from lab.records.plan import Begin, End, Enter, Leave, Plan, Read, Write
from lab.records.record import Record
from lab.records.secret import mask_text
from lab.records.variant import Variant
from lab.rig.protocol import RigProtocol
from lab.run import run
from lab.subject.handle import SILENT, Zygote

BOUND = 4.0
"""Seconds for each step: with the start of the subject what is wrong is said within five."""

READ_ONLY = "25006"
REFUSED_LOGIN = "password authentication failed"
OWN_USER = 'user "lab_'
"""Begins the rig's user names (lab/rig/protocol.py): USER was taken from DATABASES, only the password was not."""
OWN_ERROR = "it is an error of the code that runs there, whatever the database: correct that first"
NO_DATABASE = re.compile(r'database "[^"]*" does not exist')


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
    why = _why(record, failed, zygote)
    raise ServesNothing(
        f"{variant.name} does not serve a request without any fault: {why}",
        # A pool's worker is refused, and the request times out.
        OWN_ERROR if _of_python(failed) else _remedy(f"{why} {zygote.last_words()}"),
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
        return f"nothing came back within {BOUND:.0f} s at {failed.f}" + (
            f"; it said: {said}" if said != SILENT else ""
        )
    at = f"{failed.f}, {first.where}" if first.where else failed.f
    return f"{first.cls.rpartition('.')[2]} at {at}: {mask_text(first.text, zygote.secrets)}"


def _of_python(failed: Op | None) -> bool:
    """Whether code has erred, and neither the server nor the driver has refused anything."""
    return failed is not None and bool(failed.chain) and failed.chain[-1].cls.startswith("builtins.")


def _remedy(why: str) -> str:
    """By the server's words in `why`."""
    if REFUSED_LOGIN in why:
        if OWN_USER in why:
            return "a backend that makes its own password is judged with --any-password"
        return "let it take USER and PASSWORD from DATABASES, where the lab puts its own"
    if NO_DATABASE.search(why):
        return "let it take NAME from DATABASES, where the lab puts its own"
    return "see that it serves one with an empty database and a user without rights"
