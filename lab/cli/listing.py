"""`lab list`: what there is, generated from the code."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import typer
from rich import box
from rich.table import Table

from lab.report.terminal import console

if TYPE_CHECKING:
    from lab.fault import Fault


def register(app: typer.Typer) -> None:
    """Add the commands."""
    what = "What there is: variants, promises, faults, moments, steps, situations."
    listing = typer.Typer(help=what, no_args_is_help=True)
    for command in (variants, promises, faults, moments, steps, situations):
        listing.command(command.__name__)(command)
    app.add_typer(listing, name="list")


def variants() -> None:
    """The bundled variants and what they claim."""
    from lab.check.variants import rows

    table = _table("variant", "ENGINE", "driver", "settings", "claims", "what it is")
    for name, row in rows().items():
        settings = ", ".join(f"{key}={value}" for key, value in {**row.settings, **row.options}.items())
        claims = "all" if row.claims is None else ", ".join(row.claims)
        table.add_row(name, row.engine, row.driver, settings, claims, row.summary)
    console().print(table)


def promises() -> None:
    """The promises, one sentence each."""
    from lab.promise import PROMISES

    table = _table("promise", "sentence")
    for promise in PROMISES.values():
        table.add_row(promise.id, promise.sentence)
    console().print(table)


def faults() -> None:
    """The faults, with their parameters and defaults."""
    from lab.fault import FAULTS

    table = _table("fault", "family", "parameters", "what it does", "how it runs")
    for kind in FAULTS:
        cls = FAULTS.get(kind)
        table.add_row(kind, cls.family, fields_of(cls), first_line(cls), ", ".join(manners(cls)))
    console().print(table)


def moments() -> None:
    """The moments of the PostgreSQL protocol at which wire faults and `lab tap` act."""
    from lab.records.moment import FORMS, NAMES

    table = _table("moment", "direction", "message")
    for name, (direction, meaning) in NAMES.items():
        table.add_row(name, direction, meaning)
    console().print(table)
    console().print(f"write {FORMS}; cN: before it: connection N", markup=False)


def steps() -> None:
    """The steps that plans are made of, as they stand in JSON."""
    from lab.records.plan import Step

    table = _table("do", "fields", "what it does")
    for cls in leaves(Step):
        table.add_row(cls.do, fields_of(cls), first_line(cls))
    console().print(table)


def situations() -> None:
    """The situations that directed plans cover: pairs of values, and all that a request may have done earlier."""
    from lab.judging import earlier
    from lab.judging.situations import COVERED, DIMENSIONS, RULES, combinations, covering, impossible
    from lab.records.lifecycle import MOMENTS

    rows = covering()
    lines = [["plan", *DIMENSIONS, "stands under"]]
    for number, row in enumerate(rows, 1):
        where = next((moment for name, moment in MOMENTS.items() if name == row["lifecycle"]), COVERED)
        lines.append([str(number), *row.values(), where])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:  # wider than many terminals: a table would cut the words
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console().print(" " + "  ".join(cells).rstrip(), markup=False, highlight=False, soft_wrap=True)
    covered = set().union(*map(combinations, rows))
    console().print(f"{len(covered)} pairs of values are covered by {len(rows)} plans; these cannot come together:")
    for one, other in sorted(impossible()):
        console().print(f"  {' '.join(one)}, {' '.join(other)}", markup=False)
    console().print("because, and besides:")
    for rule in RULES:
        console().print(f"  {', '.join(rule.reads)}: {rule.why}", markup=False)
    deep = covering(strength=3)
    triples = set().union(*(combinations(row, 3) for row in deep))
    kind = "`lab campaign VARIANT --kind situations`"
    console().print(f"{kind} covers {len(triples)} triples by {len(deep)} cases; {len(impossible(3))} are impossible.")
    number = math.prod(map(len, earlier.DIMENSIONS.values()))
    plans = number // len(earlier.DIMENSIONS["then"])
    console().print(f"Without a fault all {number} combinations of these are run by {plans} plans of `aborts-cleanly`:")
    for name, values in earlier.DIMENSIONS.items():
        console().print(f"  {name}: {'; '.join(values)}", markup=False, highlight=False, soft_wrap=True)
    stale = "what waits dies after each earlier one, on each alias, before a query and before a block"
    console().print(f"`replaces-stale`: {stale}.", soft_wrap=True)
    console().print(f"All of these stand under “{earlier.MOMENT}”.", markup=False)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    return table


def leaves(union: Any) -> list[Any]:
    """The classes of a union of unions, in their order."""
    return [leaf for part in get_args(union) for leaf in (leaves(part) or [part])]


def fields_of(cls: type[msgspec.Struct]) -> str:
    """`name=default`, or the bare name of a field that must be given."""
    shown = []
    for field in msgspec.structs.fields(cls):
        required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        shown.append(field.encode_name if required else f"{field.encode_name}={field.default!r}")
    return ", ".join(shown)


def first_line(cls: type[Any]) -> str:
    """The first paragraph of its docstring, as one line."""
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")


def manners(cls: type[Fault]) -> list[str]:
    """How a fault runs, and what it needs."""
    found = {
        "alone": cls.exclusive,
        "seen when met": cls.lazy,
        "healing cuts": cls.heal_cuts,
        "makes a variant wait": cls.waits,
    }
    return [*(name for name, applies in found.items() if applies), *(f"needs {need}" for need in sorted(cls.needs))]
