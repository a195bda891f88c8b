"""`lab serve` as a person runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from fix_cli import ROOT, Lab, caller_environ


@pytest.mark.slow
def test_serve_says_where_answers_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with subprocess.Popen(
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "lab.cli",
            "serve",
            "--port",
            "0",
        ],  # a shell's `&` ignores it
        cwd=tmp_path,
        env={**caller_environ(), "PYTHONPATH": str(ROOT), "LAB_STORE": str(tmp_path / "store")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert "Nothing yet" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("arguments", [["nowhere"], [".", "--port", "70000"], [".", "--port", "1"]])
def test_what_cannot_be_served_is_one_line(
    lab_inside: Lab, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    if arguments[-1] == "1":
        monkeypatch.setattr("lab.report.serve._Server", _refused)
    done = lab_inside("serve", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (254, "", 1)


def _refused(*_: object) -> None:
    raise PermissionError(13, "Permission denied")  # root may have any port, so that the system would not say so
