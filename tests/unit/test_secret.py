from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import make_dsn

from lab.records import secret
from lab.records.secret import MASK, holes, is_secret, mask_text, mask_texts, maskable, masked, telling

PIECES = (
    "password",
    "PASSWORD ",
    "token",
    "api_key",
    "secret",
    "=",
    ":",
    " ",
    "'",
    '"',
    "://",
    "a:b@",
    "@",
    "x1",
    ",",
    "E",
)
"""Of what the forms of a secret are made, and of what comes near to one."""


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_form_of_a_secret_is_missed_by_looking_first_whether_there_can_be_one(text: str) -> None:
    wanted = text
    for form in (secret._URL, secret._SQL, secret._PAIR):
        wanted = form.sub(rf"\g<head>{MASK}", wanted)
    assert mask_text(text) == wanted


@pytest.mark.parametrize(
    "key",
    [
        *("PASSWORD", "sslpassword", "SP_CLIENT_SECRET", "VAULT_TOKEN", "DSN", "api_key", "SECRET_KEY", "DATABASE_URL"),
        *("AWS_SECRET_ACCESS_KEY", "private_key", "passphrase", "broker_url", "credentials", "key", "CI_JOB_JWT"),
    ],
)
def test_keys_of_secrets(key: str) -> None:
    assert is_secret(key)
    assert masked({"a": [{key: "x1"}]}) == {"a": [{key: MASK}]}


@pytest.mark.parametrize("key", ["CONN_MAX_AGE", "keepalives_idle", "passfile", "application_name", "ENGINE", "NAME"])
def test_keys_of_what_may_be_shown(key: str) -> None:
    assert not is_secret(key)
    assert masked({key: "x1"}) == {key: "x1"}


@pytest.mark.parametrize("nothing", [None, "", True, False])
def test_nothing_is_no_secret(nothing: object) -> None:
    assert masked({"PASSWORD": nothing}) == {"PASSWORD": nothing}


@pytest.mark.parametrize(
    "text",
    [
        "connect to postgres://shop:s3cret@db/shop failed",
        "dsn is host=db password=s3cret",
        "dsn is host=db password='s3cret and more'",
        "{'token': 's3cret', 'user': 'shop'}",
        "log: ALTER ROLE shop PASSWORD 's3cret'",
        "VAULT_TOKEN=s3cret",
    ],
)
def test_forms_of_secrets_in_a_text(text: str) -> None:
    assert "s3cret" not in mask_text(text)
    assert MASK in mask_text(text)


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  password authentication failed for user "lab_s01"',
        "fe_sendauth: no password supplied",
        "INSERT INTO lab.token (plan, token, gate) VALUES ($1, $2, $3) RETURNING token, session",
        "http://127.0.0.1:8474/proxies",
    ],
)
def test_texts_without_a_secret_stay(text: str) -> None:
    assert mask_text(text, telling(["unrelated-1"])) == text


def test_known_values_are_found_anywhere_but_never_inside_a_word() -> None:
    values = telling(["hunter2", "swordfish", "postgres", "lab", "12", "s3cret", "s3cret-of-more"])
    assert values == ("s3cret-of-more", "swordfish", "hunter2", "s3cret")
    assert mask_text("hunter2 is refused, s3cret-of-more, swordfishes; postgres", values) == (
        f"{MASK} is refused, {MASK}, swordfishes; postgres"
    )
    assert mask_texts({"token": "x1", "row": ["hunter2"]}, values) == {"token": "x1", "row": [MASK]}


@given(
    st.lists(st.sampled_from((*PIECES, "hunter2", 'quo"te', "back\\slash", "schlüssel", "hun")), max_size=12).map(
        "".join
    )
)
def test_what_cannot_tell_a_secret_is_what_masking_leaves_alone(text: str) -> None:
    values = telling(["hunter2", 'quo"te', "back\\slash", "schlüssel"])
    for data in ({"row": [text]}, {"row": [text.ljust(secret.CUT, ".") + "hunt"]}, {"chain": [{"text": text}]}):
        assert maskable(json.dumps(data), values) or mask_texts(data, values) == data
    assert not maskable(json.dumps({"nonce": "0:12", "session": "4711 1.5"}), values)


KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "write",
    [
        *(str, repr, json.dumps, lambda value: value.replace("'", "''"), lambda value: quote(value, safe="")),
        *(quote_plus, lambda value: f"postgres://shop:{quote(value, safe='')}@db", lambda value: repr({"a": [value]})),
        lambda value: make_dsn(password=value).removeprefix("password="),
    ],
)
@pytest.mark.parametrize("value", ["Zx9&<\"'\\é 7", "p%40ss!w0", "tok/with@odd:chars#99", KEY])
def test_a_known_value_is_found_in_each_form_in_which_a_text_has_it(write: Callable[[str], str], value: str) -> None:
    found = mask_text(f"it was {write(value)}, and more", telling([value]))
    assert MASK in found
    for piece in ("Zx9", "7", "p%40", "w0", "tok", "chars", "MIIE", "BAQE"):
        assert piece not in found
    assert found.startswith("it was ")
    assert found.endswith("and more")


def test_a_url_with_a_quoted_password_tells_the_password() -> None:
    assert mask_text("no login with p@ss!w0", telling(["p%40ss!w0"])) == f"no login with {MASK}"


@pytest.mark.parametrize("length", [3, 4, 5, 12, 13])
def test_a_value_that_is_cut_off_at_the_end_of_a_long_text_is_found(length: int) -> None:
    value = "tok-abab-abab-9"
    text = "x " * 250 + value[:length]
    assert mask_text(text, telling([value])) == "x " * 250 + (MASK if length > 3 else value[:length])


def test_a_text_that_other_secrets_have_made_short_may_have_been_cut_off() -> None:
    values = telling(["long-one-" * 50, "tok-abab-9"])
    assert mask_text("long-one-" * 50 + " tok-abab-9 and tok-ab", values) == f"{MASK} {MASK} and {MASK}"


def test_holes_say_where_a_secret_was() -> None:
    assert holes(masked({"A": {"SECRET": "x1"}, "B": [{"token": "x2"}], "C": 3})) == ["A.SECRET", "B[0].token"]
