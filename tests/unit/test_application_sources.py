"""A statement is told by its verb and table, never by its values."""

from __future__ import annotations

import pytest

from lab.application.sources import statement
from lab.wire.journal import Message
from lab.wire.naming import named
from lab.wire.protocol import Conversation, Frame


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ('INSERT INTO "shop_order" ("a") VALUES (%s) RETURNING "id"', "INSERT shop_order"),
        ('UPDATE "shop_product" SET "stock" = %s WHERE "id" = %s', "UPDATE shop_product"),
        ('SELECT "a"."b" FROM "shop_product" WHERE "sku" = %s FOR UPDATE', "SELECT shop_product"),
        ('DELETE FROM "public"."shop_tag" WHERE "id" IN (%s)', "DELETE shop_tag"),
        ("SELECT 1", "SELECT"),
        ("select name from shop_tag", "SELECT shop_tag"),
        ("COPY shop_tag (name) FROM STDIN", "COPY shop_tag"),
        ('SAVEPOINT "s1"', "SAVEPOINT"),
        ("  refresh materialized view v", "REFRESH"),
        ("", ""),
    ],
)
def test_statement_reads_as_verb_and_table(sql: str, says: str) -> None:
    assert statement(sql) == says


def up(letter: str, body: bytes) -> bytes:
    return letter.encode() + (len(body) + 4).to_bytes(4) + body


def begins(*messages: bytes) -> list[tuple[str, tuple[str, ...]]]:
    conversation = Conversation()
    conversation.up.feed(bytes.fromhex("0000000800030000"))
    frames: list[Frame] = conversation.up.feed(b"".join(messages))
    return [(frame.letter, frame.begins) for frame in frames]


BOTH = ("exchange-begun", "step-begun")


def test_simple_query_begins_a_step_unless_it_only_opens_a_transaction() -> None:
    found = begins(up("Q", b"BEGIN\0"), up("Q", b"SELECT 1\0"), up("Q", b"SAVEPOINT s\0"), up("Q", b"ROLLBACK TO s\0"))
    assert [each for _, each in found] == [("exchange-begun",), BOTH, ("exchange-begun",), BOTH]
    assert [each for _, each in begins(up("Q", b"COMMIT\0"), up("Q", b"SET x = 1\0"))] == [BOTH, ("exchange-begun",)]


def test_extended_query_is_held_at_parse_and_only_there() -> None:
    parse, bind, execute, sync = up("P", b"\0SELECT 1\0\0\0"), up("B", b"\0\0"), up("E", b"\0\0\0\0\0"), up("S", b"")
    once = [("P", BOTH), ("B", ()), ("E", ()), ("S", ())]
    assert begins(parse, bind, execute, sync, parse, bind, execute, sync) == once * 2


def test_prepared_statement_is_held_at_bind() -> None:
    prepare = [up("P", b"p\0SELECT 1\0\0\0"), up("S", b"")]
    run = [up("B", b"\0p\0"), up("E", b"\0\0\0\0\0"), up("S", b"")]
    found = begins(*prepare, *run)
    assert found[2:] == [("B", BOTH), ("E", ()), ("S", ())]


def test_names_count_on_each_connection() -> None:
    def message(connection: int, ordinal: int, *moments: str) -> Message:
        return Message(connection, "upstream", ordinal, "Q", "Query", 0, 9, 0, moments=moments)

    messages = [message(1, 1, "query-sent"), message(2, 1, "query-sent"), message(1, 2, "query-sent"), message(1, 3)]
    assert [str(moment) for moment in named(messages).values()] == [
        "c1:query-sent",
        "c2:query-sent",
        "c1:query-sent:2",
        "c1:up#3",
    ]
