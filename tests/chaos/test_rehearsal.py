"""What is said of an ENGINE whose own code fails at its first request."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lab.check.rehearsal import rehearse
from lab.errors import ServesNothing
from lab.records.variant import Variant
from lab.rig.embedded.rig import Rig
from lab.subject.handle import Zygote

pytestmark = pytest.mark.chaos

ERRS = """
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def create_cursor(self, name=None):
        return self.no_such_thing(name)
"""


def test_an_error_of_its_own_code_is_told_with_its_line(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "errs").mkdir()
    (tmp_path / "errs" / "__init__.py").touch()
    (tmp_path / "errs" / "base.py").write_text(ERRS)
    variant = Variant(name="errs", engine="errs", path=(str(tmp_path),))
    with (
        closing(Zygote(variant, rig.folder, rig.environ())) as zygote,
        pytest.raises(ServesNothing, match=r"AttributeError at read, errs/base\.py:7: .*'no_such_thing'") as said,
    ):
        rehearse(variant, zygote, rig)
    assert "an error of the code that runs there" in said.value.remedy
