"""How the persistent backends know a block that is still being executed from one that was left behind."""

from __future__ import annotations

import sys
from contextlib import ContextDecorator, ExitStack
from typing import Any

from backend_under_test.persistent_core.wrapper import REFERENCES

blocks: list[Any] = []
"""As Django's wrapper has them: the blocks that were entered."""


class Block(ContextDecorator):
    def __enter__(self) -> None:
        blocks.append(self)

    def __exit__(self, *_: object) -> None:
        blocks.pop()


def left_behind() -> bool:
    return sys.getrefcount(blocks[0]) <= REFERENCES


@Block()
def decorated() -> bool:
    return left_behind()


def generated() -> Any:
    with Block():
        yield


def test_whatever_leaves_a_block_later_refers_to_it() -> None:
    with Block():
        assert not left_behind()
    with ExitStack() as stack:
        stack.enter_context(Block())
        assert not left_behind()
    assert not decorated()
    waiting = generated()
    next(waiting)
    assert not left_behind()
    waiting.close()


def test_a_block_that_nothing_leaves_is_left_behind() -> None:
    Block().__enter__()
    try:
        assert left_behind()
    finally:
        blocks.clear()
