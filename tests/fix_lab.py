"""The plugin's fixtures under the short names that the lab's own tests use."""

from __future__ import annotations

import pytest

from lab.pytest_plugin.session import Lab
from lab.rig.base import BaseRig


@pytest.fixture(scope="session")
def lab(lab_session: Lab) -> Lab:
    """This session's lab."""
    return lab_session


@pytest.fixture(scope="session")
def rig(lab_rig: BaseRig) -> BaseRig:
    """Its rig."""
    return lab_rig
