"""The tree of errors: each names its condition and carries its remedy.

Everything the lab raises on purpose is a `LabError`. The command line prints one as a single line
(`message; remedy`) and leaves with its `status`; a traceback therefore always means a bug of the lab.

    LabError                      255  the lab itself failed
    ├── BadInput                  254  what the person gave cannot be used
    │   ├── PlanInvalid                a plan file that is not one
    │   ├── VariantUnknown             neither a row of variants.py nor an ENGINE
    │   ├── EngineUnusable             an ENGINE that does not import or lacks a DatabaseWrapper
    │   ├── ServesNothing              a variant that cannot serve a request without any fault
    │   ├── AddressRefused             a variant that wants a server which is not the lab's
    │   └── UnknownName                no fault, promise or moment of that name
    ├── ToolMissing               255  no PostgreSQL, no Toxiproxy and no way to build one
    ├── ServerNotReady            255  a server of the rig did not start, or did not answer in time
    ├── ProxyLost                 255  Toxiproxy is wedged or dead: the case is void, the server is replaced
    ├── SubjectLost               255  the zygote died outside a plan (inside one it is a finding)
    └── StoreUnwritable           255  evidence could not be written; what was stored before is whole
"""

from __future__ import annotations


class LabError(Exception):
    """An expected failure: what happened, and what to do about it.

    `message` is one sentence without a final stop; `remedy` is an instruction, "" when there is none.
    """

    status = 255

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        line = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return " ".join(line.split())


class BadInput(LabError):
    """What the person gave cannot be used."""

    status = 254


class PlanInvalid(BadInput):
    """A plan that is not JSON, of another version, or with an unknown step."""


class VariantUnknown(BadInput):
    """A name that is neither a row of `backend_under_test/variants.py` nor a dotted ENGINE."""


class EngineUnusable(BadInput):
    """An ENGINE that cannot be imported, lacks `DatabaseWrapper`, or refuses its settings."""


class AddressRefused(BadInput):
    """A variant, or what it loads, wanted to connect to a server that the lab did not start."""


class ServesNothing(BadInput):
    """A variant that cannot serve one request without any fault."""


class UnknownName(BadInput):
    """No fault, promise or profile is registered under that name."""


class ToolMissing(LabError):
    """A program that the rig needs was not found and could not be built."""


OWN_DRIVER = "psycopg2"
EXTRA = "'connection-lab[psycopg]'"
"""As pip takes it: what the lab needs for variants on psycopg that its own interpreter runs."""


def without_driver(error: ModuleNotFoundError) -> ToolMissing:
    """What to say where the lab's own driver is not installed. Raises `error` again when another module is missing."""
    if (error.name or "").partition(".")[0] != OWN_DRIVER:
        raise error
    return ToolMissing(f"{OWN_DRIVER} is not installed", "pip install psycopg2-binary")


class ServerNotReady(LabError):
    """A server of the rig did not start, or did not answer within its deadline."""


class ProxyLost(LabError):
    """Toxiproxy does not answer (wedged or dead); every case that ran through it is void."""


class SubjectLost(LabError):
    """The zygote ended or went silent between plans."""


class StoreUnwritable(LabError):
    """Evidence could not be written; earlier evidence is untouched."""
