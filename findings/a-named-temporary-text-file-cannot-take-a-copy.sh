#!/bin/sh
# What surprises: psycopg2's COPY to a text file works for tempfile.TemporaryFile("w+") and fails for its twins, a
# NamedTemporaryFile("w+") and a SpooledTemporaryFile of mode "w+", with "write() argument must be str, not bytes".
# psycopg2 does not look at the file's mode or try what it takes: it asks whether the object is an io.TextIOBase, and
# those two are wrappers which only behave like one. COPY from the same files works, as what is read is str or bytes by
# itself. So an export that was tested with one kind of file breaks with another, and whoever wraps a file to count its bytes
# must derive the wrapper from io.TextIOBase. The session is usable after a rollback.
# Seen with psycopg2-binary 2.9.13, Python 3.11 and PostgreSQL 18.6. Exits 1 when that changes.
. "$(dirname "$0")/_server.sh"
with_packages psycopg2-binary==2.9.13
with_postgres
cat >"$ROOT/see.py" <<'PYTHON'
import sys
import tempfile

import psycopg2

connection = psycopg2.connect(host="127.0.0.1", port=sys.argv[1], user="finder", dbname="postgres")
cursor = connection.cursor()
cursor.execute("CREATE TABLE words (word text)")
connection.commit()
files = {
    "TemporaryFile": lambda mode: tempfile.TemporaryFile(mode),
    "NamedTemporaryFile": lambda mode: tempfile.NamedTemporaryFile(mode),
    "SpooledTemporaryFile": lambda mode: tempfile.SpooledTemporaryFile(mode=mode),
}
found = {}
for name, make in files.items():
    for mode in ("w+", "w+b"):
        with make(mode) as file:
            try:
                cursor.copy_expert("COPY (SELECT 'one') TO STDOUT", file)
                out = "written"
            except TypeError as error:
                out = str(error)
            connection.rollback()
        with make(mode) as file:
            file.write("two\n" if mode == "w+" else b"two\n")
            file.seek(0)
            cursor.copy_expert("COPY words FROM STDIN", file)
            cursor.execute("SELECT count(*) FROM words")
            into = cursor.fetchone()[0]
            connection.rollback()
        found[f"{name} {mode}"] = (out, into)
for each in found.items():
    print(*each)
refused = "write() argument must be str, not bytes"
sys.exit(
    found
    != {
        "TemporaryFile w+": ("written", 1),
        "TemporaryFile w+b": ("written", 1),
        "NamedTemporaryFile w+": (refused, 1),
        "NamedTemporaryFile w+b": ("written", 1),
        "SpooledTemporaryFile w+": (refused, 1),
        "SpooledTemporaryFile w+b": ("written", 1),
    }
)
PYTHON
"$PY" "$ROOT/see.py" "$DSN_PORT"
