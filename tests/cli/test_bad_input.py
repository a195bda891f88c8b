"""What cannot be used is said in one line with its remedy, and never in a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fix_cli import Lab
from lab.records.codec import encode
from lab.records.plan import Begin, End, Plan, Read
from lab.records.variant import Variant

PLAN = Plan(variant=Variant(name="mine"), steps=(Begin("t0"), Read("t0"), End("t0")))

LATENCY = (
    '{"version": 1, "variant": {"name": "x"}, "steps": [{"do": "inject", "fault":'
    ' {"kind": "latency", "params": {"latency_ms": 200}}}]}'
)


def refused(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    assert done.returncode == status, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("lab: ")
    assert "Traceback" not in done.stderr + done.stdout
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], ["no variant is given", "lab list variants"]),
        (["check", "nosuch"], ["'nosuch' is neither", "bundled: published_global"]),
        (["check", "published_global", "--frob"], ["No such option", "lab check --help"]),
        (["frob"], ["No such command", "lab --help"]),
        (["check", "published_global", "--maximum", "0"], ["--maximum", "1", "lab check --help"]),
        (["advise", "published_global", "--maximum", "many"], ["--maximum", "valid integer", "lab advise --help"]),
        (["check", "published_global", "--seed", "x"], ["--seed", "lab check --help"]),
        (["check", "published_global", "--driver", "mysql"], ["--driver", "psycopg2"]),
        (["check", "published_global", "--path", "/no/such"], ["--path /no/such is no folder"]),
        (["check", "published_global", "--setting", "X"], ["not KEY=JSON", "CONN_MAX_AGE=60"]),
        (["check", "published_global", "--setting", "CONN_MAX_AGE=None"], ["not JSON", "write null"]),
        (["check", "published_global", "--option", "x={"], ["--option x", "not JSON"]),
        (["check", "published_global", "--setting", 'HOST="db"'], ["the lab's own"]),
        (["check", "published_global", "--promise", "nosuch"], ["no promise 'nosuch'", "known: "]),
        (["check", "published_global", "--json", "/no/such/file"], ["no folder /no/such"]),
        (["matrix", "--html", "/"], ["/ is a folder"]),
        (["matrix", "--postgres", "17,14"], ["PostgreSQL 14", "give 15 to 18"]),
        (["matrix", "--postgres", "17", "--rig", "embedded"], ["one PostgreSQL version", "use --rig docker"]),
        (["check", "published_global", "--rig", "cloud"], ["no rig 'cloud'", "known: embedded, netns, docker"]),
        (["replay", "plan.json", "--rig", "cloud"], ["no rig 'cloud'"]),
        (["shrink", "plan.json", "--rig", "cloud"], ["no rig 'cloud'"]),
        (["explore", "cuts", "published_global", "--rig", "cloud"], ["no rig 'cloud'"]),
        (["explore", "interleavings", "published_global", "--rig", "cloud"], ["no rig 'cloud'"]),
        (["demo", "thread-safety", "--rig", "cloud"], ["no rig 'cloud'"]),
        (["replay", "missing.json"], ["missing.json cannot be read", "plan.json"]),
        (["replay", "plan.json", "--times", "0"], ["--times"]),
        (["replay", "plan.json", "--variant", "nosuch"], ["'nosuch' is neither"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and len(value) > 1 else "",
)
def test_arguments(lab_inside: Lab, tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    (tmp_path / "plan.json").write_bytes(encode(PLAN))
    refused(lab_inside(*arguments), 254, *said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ["is not JSON", "give the path of a plan.json"]),
        ("\x00\x01", ["is not JSON"]),
        ("[]", ["is not a plan of version 1"]),
        ('{"variant": {"name": "x"}, "steps": []}', ["`version`"]),
        ('{"version": 99, "variant": {"name": "x"}, "steps": []}', ["99", "$.version"]),
        ('{"version": 1, "variant": {"name": "x"}, "steps": [{"do": "dance"}]}', ["'dance'", "$.steps[0].do"]),
        (
            '{"version": 1, "variant": {"name": "x"}, "steps": [{"do": "read", "actor": "t0", "x": 1}]}',
            ["`x`", "$.steps[0]"],
        ),
        (
            '{"version": 1, "variant": {"name": "x"}, "steps": [{"do": "inject", "fault": {"kind": "meteor"}}]}',
            ["no fault 'meteor'", "known: "],
        ),
        (
            LATENCY.replace("200", "-1"),
            ["fault 'latency'", "lab list faults"],
        ),
    ],
)
def test_plan_file(lab_inside: Lab, tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "plan.json").write_text(text)
    refused(lab_inside("replay", "plan.json"), 254, *said)


@pytest.mark.slow
def test_exit_status_and_one_line_are_those_of_the_process(lab_command: Lab, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{")
    refused(lab_command("check", "nosuch"), 254, "'nosuch' is neither")
    refused(lab_command("check", "--frob"), 254, "No such option")
    refused(lab_command("replay", "plan.json"), 254, "is not JSON")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LAB_PG_BINDIR": "/"}, ["no PostgreSQL", "make setup", "LAB_PG_BINDIR"]),
        ({"LAB_TOXIPROXY": "/bin/true"}, ["is not a toxiproxy-server", "make setup", "LAB_TOXIPROXY"]),
    ],
)
def test_missing_server(lab_command: Lab, environ: dict[str, str], said: list[str]) -> None:
    refused(lab_command("check", "published_global", **environ), 255, *said)
    doctor = lab_command("doctor", **environ)
    assert doctor.returncode == 255
    assert said[-1] in doctor.stdout


@pytest.mark.slow
def test_toxiproxy_that_cannot_be_built(lab_command: Lab, tmp_path: Path) -> None:
    """Nothing on PATH, nothing in the cache, and a Go that cannot build."""
    for name in ("go", "bin"):
        (tmp_path / name).mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text('#!/bin/sh\n[ "$1" = env ] && echo go1.26.0 && exit\necho "no network" >&2; exit 1\n')
    go.chmod(0o755)
    done = lab_command("check", "published_global", PATH=f"{tmp_path / 'bin'}:/bin", XDG_CACHE_HOME=str(tmp_path / "c"))
    assert done.returncode == 255
    assert done.stderr.splitlines()[-1].startswith("lab: ")
    assert "LAB_TOXIPROXY" in done.stderr
    assert "Traceback" not in done.stderr


# -- what only the subject can find out ------------------------------------------------------------------------------


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """Packages that are no PostgreSQL backend, each in its way."""
    for name, text in {
        "without_wrapper": "x = 1",
        "other_server": "from django.db.backends.sqlite3.base import DatabaseWrapper",
        "broken": "import nothing_of_that_name",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "base.py").write_text(text)
    (tmp_path / "project.py").write_text("DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql'}}")
    return tmp_path


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.such.engine"], ["no.such.engine does not import", "--path"]),
        (["without_wrapper"], ["has no DatabaseWrapper"]),
        (["other_server"], ["is for sqlite"]),
        (["broken"], ["nothing_of_that_name"]),
        (["--settings", "project", "--alias", "other"], ["no database 'other'", "default"]),
        (["--settings", "nosuch"], ["nosuch does not import"]),
        (["published_global", "--python", "/no/such/python"], ["/no/such/python does not start", "--python"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("engines")
def test_variant_that_cannot_run(lab_on_rig: Lab, arguments: list[str], said: list[str]) -> None:
    refused(lab_on_rig("check", *arguments), 254, *said)


@pytest.mark.chaos
@pytest.mark.slow
def test_store_that_cannot_be_written(lab_command: Lab) -> None:
    refused(lab_command("check", "published_global", "--store", "/dev/full"), 255, "cannot write", "--store")
