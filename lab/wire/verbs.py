"""What kind of statement a piece of SQL is, and nothing more of it.

The journal must tell where COMMIT went and must not keep the data of any application, so SQL is reduced to *verb
classes* the moment it is seen: `BEGIN`, `COMMIT`, `INSERT`…, or `other`. Synonyms are folded (`END` is `COMMIT`,
`START TRANSACTION` is `BEGIN`).
"""

from __future__ import annotations

import re

TRANSACTION_CONTROL = frozenset(
    {
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "ROLLBACK TO",
        "PREPARE TRANSACTION",
        "COMMIT PREPARED",
        "ROLLBACK PREPARED",
    }
)
"""Verbs that open, close or divide a transaction; a statement with one of them is no `query-sent`."""

_PLAIN = frozenset(
    """
    SELECT INSERT UPDATE DELETE MERGE WITH VALUES TABLE SET RESET SHOW COPY DECLARE FETCH MOVE CLOSE PREPARE EXECUTE
    DEALLOCATE LISTEN UNLISTEN NOTIFY LOCK DISCARD CREATE ALTER DROP TRUNCATE ANALYZE VACUUM EXPLAIN CALL DO SAVEPOINT
    RELEASE
    """.split()  # noqa: SIM905  # fifty quotes would not help
)
_SYNONYMS = {
    "BEGIN": "BEGIN",
    "START": "BEGIN",
    "COMMIT": "COMMIT",
    "END": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ROLLBACK",
}

# Everything a semicolon can hide in. '' inside a string needs no care: it reads as two strings side by side.
_OPAQUE = re.compile(
    rb"--[^\n]*"
    rb"|/\*.*?\*/"
    rb"|\b[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'"
    rb"|'[^']*'"
    rb'|"[^"]*"'
    rb"|\$([A-Za-z_]\w*|)\$.*?\$\1\$",
    re.DOTALL,
)
_LEADING = re.compile(rb"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)
_WORDS = re.compile(rb"([A-Za-z]+)(?:\s+([A-Za-z]+))?(?:\s+([A-Za-z]+))?")
_SQL_BODY = re.compile(rb"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)


def verb(statement: bytes) -> str:
    """Return the verb class of one statement: "" when it is empty, "other" when the verb is not a known one."""
    words = _WORDS.match(statement, _LEADING.match(statement).end())  # type: ignore[union-attr]  # matches "" at worst
    if words is None:
        return "other" if statement[_LEADING.match(statement).end() :].strip() else ""  # type: ignore[union-attr]
    first, second, third = (word.decode().upper() if word else "" for word in words.groups())
    if first == "PREPARE" and second == "TRANSACTION":
        return "PREPARE TRANSACTION"
    if first not in _SYNONYMS:
        return first if first in _PLAIN else "other"
    folded = _SYNONYMS[first]
    if second == "PREPARED":
        return f"{folded} PREPARED"
    if folded == "ROLLBACK" and "TO" in (second, third):
        return "ROLLBACK TO"
    return folded


def verbs(sql: bytes) -> tuple[str, ...]:
    """Return the verb class of each statement in `sql`, in order; empty statements are left out.

    Knows strings, quoted names, dollar quotes and comments; does not know nested comments. The body of a `BEGIN ATOMIC`
    function belongs to its CREATE.
    """
    if b";" not in sql.rstrip(b"; \t\r\n") or _SQL_BODY.search(sql):
        one = verb(sql.rstrip(b"; \t\r\n"))
        return (one,) if one else ()
    statements = _OPAQUE.sub(b" ", sql).split(b";")
    return tuple(found for found in map(verb, statements) if found)
