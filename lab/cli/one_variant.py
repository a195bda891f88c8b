"""What every command needs that runs plans of one variant: a rig, and the variant's zygote on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from rich.console import Console

from lab.check.subjects import here
from lab.explore.engine import BOUND, Target
from lab.promise import PROMISES
from lab.records.variant import Variant
from lab.rig.base import BaseRig
from lab.rig.rigs import open_rig, prepare
from lab.subject.handle import Zygote


@contextmanager
def one_variant(variant: Variant, rig: str, errors: Console) -> Iterator[tuple[BaseRig, Zygote]]:
    """The rig of that name ("": $LAB_RIG says) and the variant's zygote, until the block ends; raises LabError.

    What takes long is said on `errors`. Call it before anything starts a thread.
    """
    servers = prepare(rig)
    with (
        open_rig(servers, lambda line: errors.print(line, markup=False)) as running,
        closing(Zygote(here(variant), running.folder, running.environ())) as zygote,
    ):
        yield running, zygote


@contextmanager
def one_target(
    variant: Variant, rig: str, errors: Console, bound: float | None, promises: Iterable[str] | None
) -> Iterator[Target]:
    """The same for an exploration: `bound` is B in seconds, `promises` those that judge, both as the flags say.

    Raises UnknownName for a promise that does not exist, before anything starts.
    """
    judges = tuple(PROMISES.get(each) for each in dict.fromkeys(promises or ())) or None
    with one_variant(variant, rig, errors) as (running, zygote):
        yield Target(variant, running, zygote, bound or variant.bound or BOUND, judges)
