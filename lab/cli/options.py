"""The flags that several commands share, and the variant that they describe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.check.claims import maximum_from_project
from lab.check.variants import find, rows
from lab.errors import BadInput
from lab.promise import PROMISES
from lab.records.variant import Driver, Variant
from lab.rig.capabilities import CAPABILITIES, DEFAULT, VARIABLE


def _variants(incomplete: str) -> list[str]:
    return [name for name in rows() if name.startswith(incomplete)]


def _promises(incomplete: str) -> list[str]:
    return [name for name in PROMISES if name.startswith(incomplete)]


Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="VARIANT_OR_ENGINE…",
        help="Rows of `lab list variants`, or any dotted ENGINE.",
        autocompletion=_variants,
    ),
]
PathFlag = Annotated[
    list[str] | None,
    typer.Option("--path", metavar="DIR", help="Where to import an ENGINE from; the current folder, too."),
]
DriverFlag = Annotated[
    Driver | None,
    typer.Option("--driver", help="Default: what the row says; of --settings, Django's choice; else psycopg2."),
]
PythonFlag = Annotated[
    str, typer.Option("--python", metavar="EXE", help="The interpreter that runs the variant; default: this one.")
]
SettingFlag = Annotated[
    list[str] | None,
    typer.Option("--setting", metavar="KEY=JSON", help=r"In DATABASES\[alias], e.g. CONN_MAX_AGE=null."),
]
OptionFlag = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=JSON", help="In OPTIONS, e.g. connect_timeout=5.")
]
SettingsFlag = Annotated[
    str,
    typer.Option(
        "--settings", metavar="MODULE", help=r"A project's settings module: judge its DATABASES\[alias] as it is."
    ),
]
BareFlag = Annotated[
    bool, typer.Option("--bare", help="Of --settings use DATABASES alone: load no apps, run no AppConfig.ready().")
]
AliasFlag = Annotated[str, typer.Option("--alias", help="Which of its DATABASES.")]
PromiseFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--promise", metavar="ID", help="Only this promise; may be repeated. Default: all.", autocompletion=_promises
    ),
]
ClaimFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        metavar="ID|django|persistent|strict",
        help=r"What it claims; may be repeated. Default: \[tool.connection-lab] claims, its row, else Django's.",
    ),
]
MaximumFlag = Annotated[
    int | None,
    typer.Option(
        "--maximum",
        metavar="N",
        min=1,
        help=r"The most sessions of an alias that a process has. Default: \[tool.connection-lab] maximum, its pool's.",
    ),
]
BudgetFlag = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="SECONDS",
        min=0.0,
        help="Random search until this many seconds are spent; plans not begun by then are unknown.",
    ),
]
SeedFlag = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="What random plans are drawn from.")]
BoundFlag = Annotated[
    float | None,
    typer.Option(
        "--bound",
        metavar="SECONDS",
        min=0.1,
        help="B, the longest that one call may take. Default: what the variant claims, else 10.",
    ),
]
JsonFlag = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results here, for programs.")]
StoreFlag = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Where evidence goes. Default: $LAB_STORE, else ./store.")
]

AnyPasswordFlag = Annotated[
    bool,
    typer.Option("--any-password", help="The lab's server takes any: for an ENGINE that makes its own (IAM, Vault)."),
]
QuietFlag = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print the results alone: no progress, no paths; what fails is still said."),
]
RigFlag = Annotated[
    str,
    typer.Option(
        "--rig", metavar="|".join(CAPABILITIES), help=f"Where the servers run. Default: ${VARIABLE}, else {DEFAULT}."
    ),
]

ShardFlag = Annotated[
    str,
    typer.Option(
        "--shard", metavar="N/OF", help="Run this part of all plans alone, such as 2/5; `lab merge` joins the parts."
    ),
]

SERVER_KEYS = ("ENGINE", "HOST", "PORT", "NAME", "USER", "PASSWORD", "OPTIONS", "TEST")
"""Keys of DATABASES[alias] that --setting may not replace: where the server is, and what has a flag of its own."""


def variants_of(
    names: list[str] | None,
    *,
    path: list[str] | None = None,
    driver: Driver | None = None,
    python: str = "",
    setting: list[str] | None = None,
    option: list[str] | None = None,
    settings: str = "",
    alias: str = "default",
    bare: bool = False,
    maximum: int | None = None,
) -> list[Variant]:
    """The variants that a command line asks for; raises BadInput.

    Where no `maximum` is given, the pyproject.toml of the current folder may state it, but for the bundled ones.
    """
    if not names and not settings:
        raise BadInput("no variant is given", "name one of `lab list variants`, an ENGINE, or --settings MODULE")
    missing = [folder for folder in path or () if not Path(folder).is_dir()]
    if missing:
        raise BadInput(f"--path {missing[0]} is no folder", "give the folder that holds the ENGINE's package")
    given = key_values("--setting", setting)
    for key in set(given) & set(SERVER_KEYS):
        raise BadInput(
            f"--setting {key}: that is not for a command line to say",
            "the ENGINE is an argument, the server is the lab's own, and OPTIONS are given with --option",
        )
    return [
        find(
            name,
            driver=driver,
            python=python,
            path=path or (),
            settings=given,
            options=key_values("--option", option),
            module=settings,
            alias=alias,
            bare=bare,
            maximum=maximum or (0 if name in rows() and not settings else maximum_from_project(Path.cwd())),
        )
        for name in dict.fromkeys(names or [""])
    ]


def key_values(flag: str, given: Iterable[str] | None) -> dict[str, Any]:
    """`KEY=JSON` pairs as a dict; raises BadInput."""
    values: dict[str, Any] = {}
    for pair in given or ():
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"{flag} {pair}: that is not KEY=JSON", f"write it as {flag} CONN_MAX_AGE=60")
        try:
            values[key] = json.loads(text)
        except ValueError:
            raise BadInput(
                f"{flag} {key}: {text!r} is not JSON", "write null, true, 60, or a text in double quotes: '\"text\"'"
            ) from None
    return values


def prepare_file(flag: str, path: Path | None) -> None:
    """Raise BadInput now, not after the work, when a file cannot be written there."""
    if path is None:
        return
    if path.is_dir():
        raise BadInput(f"{flag} {path} is a folder", "give the name of a file")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{flag} {path}: there is no folder {path.absolute().parent}", "make it first")
