"""What may be shown of a text."""

from __future__ import annotations

import pytest

from lab.report.pages import words


@pytest.mark.parametrize(
    "text",
    [
        "connection failed: host=db password=hunter2 user=x",
        "password='hunter2'",
        '{"password": "hunter2"}',
        "postgres://app:hunter2@db/app",
        "DETAIL:  Key (email)=(hunter2) already exists.",
        "Failing row contains (1, hunter2, null).",
        "parameters: $1 = 'hunter2'",
    ],
)
def test_passwords_and_rows_are_not_shown(text: str) -> None:
    assert "hunter2" not in words.shown(text)
    assert words.HIDDEN in words.shown(text)


@pytest.mark.parametrize(
    "line",
    [
        "STATEMENT:  INSERT INTO t VALUES ('hunter2', 4711)",
        "LOG:  duration: 3.2 ms  statement: SELECT E'hunter2' WHERE x = 4711",
        "LOG:  execute <unnamed>: SELECT $q$hunter2$q$, 4711",
    ],
)
def test_literals_of_a_logged_statement_are_not_shown(line: str) -> None:
    shown = words.log_line(line)
    assert "hunter2" not in shown
    assert "4711" not in shown
    assert "SELECT" in shown or "INSERT INTO t" in shown


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in ("recovers: at COMMIT, answer lost", "the password was refused", "57P01 AdminShutdown", "a → b, 3 × 4"):
        assert words.shown(text) == text


def test_text_turns_nothing_around_and_ends() -> None:
    assert words.shown("a\u202eb\x00c\ud800d\u2028e") == "abcde"
    assert words.shown("one\ntwo\tthree") == "one two three"
    assert len(words.shown("x" * 10_000, 40)) == 40


@pytest.mark.parametrize("key", ["PASSWORD", "password", "sslpassword", "passfile", "API_KEY", "client_secret"])
def test_secret_settings_are_named_but_not_shown(key: str) -> None:
    assert words.settings({key: "hunter2", "pool": {key: "hunter2", "max_size": 4}}) == {
        key: words.HIDDEN,
        "pool": f"{{{key}: {words.HIDDEN}, max_size: 4}}",
    }
