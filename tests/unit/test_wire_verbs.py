from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.wire.verbs import verb, verbs


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"BEGIN", "BEGIN"),
        (b"begin isolation level serializable", "BEGIN"),
        (b"START TRANSACTION", "BEGIN"),
        (b"COMMIT", "COMMIT"),
        (b" \n commit and chain", "COMMIT"),
        (b"END", "COMMIT"),
        (b"ROLLBACK", "ROLLBACK"),
        (b"ABORT WORK", "ROLLBACK"),
        (b"ROLLBACK TO SAVEPOINT s1", "ROLLBACK TO"),
        (b"rollback work to s1", "ROLLBACK TO"),
        (b'RELEASE SAVEPOINT "s1"', "RELEASE"),
        (b"SAVEPOINT s1", "SAVEPOINT"),
        (b"PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        (b"COMMIT PREPARED 'x'", "COMMIT PREPARED"),
        (b"PREPARE x AS SELECT 1", "PREPARE"),
        (b"/* who asks */ -- and why\nselect 1", "SELECT"),
        (b"(SELECT 1) UNION (SELECT 2)", "SELECT"),
        (b"COMMITTED", "other"),
        (b"42", "other"),
        (b"  ", ""),
    ],
)
def test_a_statement_has_one_verb(sql: bytes, expected: str) -> None:
    assert verb(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"BEGIN; INSERT INTO t VALUES (1); COMMIT", ("BEGIN", "INSERT", "COMMIT")),
        (b"COMMIT;", ("COMMIT",)),
        (b";;", ()),
        (b"", ()),
        (b"SELECT '; COMMIT'", ("SELECT",)),
        (b"SELECT 'it''s; COMMIT'", ("SELECT",)),
        (b"SELECT E'\\'; COMMIT; '", ("SELECT",)),
        (b'SELECT 1 AS "; COMMIT"', ("SELECT",)),
        (b"DO $x$ BEGIN; COMMIT; END $x$", ("DO",)),
        (b"DO $$ COMMIT; $$; SELECT 1", ("DO", "SELECT")),
        (b"SELECT 1 /* ; COMMIT */ -- ; COMMIT", ("SELECT",)),
        (b"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", ("CREATE",)),
    ],
)
def test_only_a_real_semicolon_ends_a_statement(sql: bytes, expected: tuple[str, ...]) -> None:
    assert verbs(sql) == expected


@given(st.binary(max_size=200))
def test_no_bytes_upset_it(sql: bytes) -> None:
    assert all(one.replace(" ", "").isalpha() for one in verbs(sql))


@given(
    st.lists(
        st.sampled_from([b"'", b"'", b'"', b"$$", b"/*", b"*/", b"--", b"\n", b";", b"\\", b"E'", b"x"]), max_size=400
    )
)
def test_half_open_quotes_take_no_time(pieces: list[bytes]) -> None:
    verbs(b"".join(pieces))
