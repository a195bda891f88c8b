"""What every command needs that runs plans of one variant: a rig, and the variant's zygote on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from rich.console import Console

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
        closing(Zygote(variant, running.folder, running.environ())) as zygote,
    ):
        yield running, zygote
