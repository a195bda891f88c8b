"""A store is made to be shared: no file of it holds a secret of the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fix_cli import Lab

PROJECT = Path(__file__).resolve().parents[1] / "projects" / "secrets"
pytestmark = [pytest.mark.chaos, pytest.mark.slow]


def test_no_file_of_the_evidence_holds_a_secret(lab_command: Lab, tmp_path: Path) -> None:
    done = lab_command(
        *("check", "--settings", "secret_settings", "--path", str(PROJECT), "--promise", "recovers"),
        *("--setting", 'EXTRA_TOKEN="s3cret-of-the-command-line"', "--budget", "4", "--json", "out.json"),
        CLOUD_ACCESS_KEY="s3cret-of-the-environment",
    )
    assert done.returncode in (1, 2), done
    store = tmp_path / "store"
    files = [path for path in (*store.rglob("*"), tmp_path / "out.json") if path.is_file()]
    texts = {path: path.read_bytes() for path in files}
    assert len([path for path in files if path.name in ("plan.json", "server.log", "history.jsonl")]) > 2
    assert any(b"could not hand back" in text for text in texts.values())  # what is masked was there
    assert [path for path, text in texts.items() if b"s3cret" in text] == []
    assert "s3cret" not in done.stdout + done.stderr
    settings = json.loads((tmp_path / "out.json").read_text())["variant"]["settings"]
    assert settings["AAD_OPTIONS"] == {"SP_CLIENT_ID": "id", "SP_CLIENT_SECRET": "***"}
    assert settings["EXTRA_TOKEN"] == "***"

    plan = next(store.rglob("plan.json"))
    refused = lab_command("replay", str(plan), CLOUD_ACCESS_KEY="s3cret-of-the-environment")
    assert refused.returncode == 254
    (line,) = refused.stderr.splitlines()
    assert "EXTRA_TOKEN" in line
    assert "--setting" in line
    given = ("--setting", 'EXTRA_TOKEN="s3cret-of-the-command-line"')
    again = lab_command("replay", str(plan), *given, CLOUD_ACCESS_KEY="s3cret-of-the-environment")
    assert again.returncode in (0, 1, 2), again
    assert "s3cret" not in again.stdout + again.stderr
