"""Every command of README and docs is run somewhere, or says why it is not; outputs are compared by their shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from doc_blocks import Block, blocks, fits, pages, stray

ALL = [block for page in pages() for block in blocks(page)]
OUTPUT = [
    "╭──────┬───────╮",
    "│ name │ cases │",
    "╰──────┴───────╯",
    "12 of 12 plans, 3.5 s",
    "  ○ limit recovers: x · y",
]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.name))
def test_no_command_stands_where_nothing_runs_it(page: Path) -> None:
    assert not stray(page), "write it as a fenced block of sh or console, with a line above it (tests/doc_blocks.py)"


def test_every_block_says_what_becomes_of_it() -> None:
    lost = [f"{block.page}:{block.line}" for block in ALL if not block.marked]
    assert not lost, "write <!-- run: fast -->, <!-- run: nightly --> or <!-- not run: why --> above it"
    assert {block.when for block in ALL} == {"fast", "nightly", ""}


def test_what_is_not_run_is_the_lesser_part() -> None:
    assert len([block for block in ALL if block.why]) < len(ALL) / 2


@pytest.mark.parametrize(
    "printed",
    [
        OUTPUT,
        [
            "╭─────────┬────────╮",
            "│ name    │ cases  │",
            "╰─────────┴────────╯",
            "7 of 9 plans, 10 s",
            " ○ limit recovers: z",
        ],
        ["name case", "1 of 1 plans, 0.1 s", "", "○ limit recovers: y"],
    ],
)
def test_an_output_of_the_same_shape_fits(printed: list[str]) -> None:
    assert fits(OUTPUT, printed) == ""


@pytest.mark.parametrize(
    "printed",
    [
        [],
        OUTPUT[:-1],
        [*OUTPUT, "and another line"],
        [*OUTPUT[:-1], "  ○ limit durable: x"],
        [*OUTPUT[:-1], "  ✗ broken recovers: x"],
        OUTPUT[::-1],
        ["12 of 12 plans, never", *OUTPUT[4:]],
    ],
)
def test_another_shape_does_not(printed: list[str]) -> None:
    assert fits(OUTPUT, printed)


def test_dots_stand_for_anything() -> None:
    assert fits(["…", "b …", "…"], ["a", "b c d", "e"]) == ""
    assert fits(["…"], []) == ""
    assert fits(["a", "…", "z"], ["a", "z"]) == ""
    assert fits(["a", "…", "z"], ["a", "y"])
    assert fits(["b …"], ["a"])


def test_blocks_are_read_with_what_stands_above_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n<!-- run: nightly, status 1 -->\n```console\n$ lab check x\nout\n$ lab list faults\n```\n\n"
        "```sh\nlab demo\n```\n<!-- not run: no engine -->\n```sh\ndocker ps\n```\n\n"
        "    lab report\n\n```\n$ lab doctor\n```\n"
    )
    first, second, third = blocks(page, tmp_path)
    assert first == Block("page.md", 4, "console", "$ lab check x\nout\n$ lab list faults\n", "nightly", 1)
    assert first.commands() == [("lab check x", ["out"]), ("lab list faults", [])]
    assert not second.marked
    assert (third.when, third.why) == ("", "no engine")
    assert len(stray(page)) == 2
