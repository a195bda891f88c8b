"""The order of the suite: the files that take longest come first, so that no worker is left with one at the end."""

from __future__ import annotations

from typing import Final

import pytest

LONGEST: Final = (
    "chaos/test_bundled.py",
    "application/test_connections.py",
    "chaos/test_real_projects.py",
    "chaos/test_zoo.py",
    "application/test_every_order.py",
    "chaos/test_zoo_lifecycles.py",
    "cli/test_installed.py",
    "chaos/test_zoo_session.py",
    "unit/test_persistent_stories.py",
    "contract/test_fault_run.py",
    "contract/test_netns_rig.py",
    "application/test_every_cut.py",
    "chaos/test_campaign_workers.py",
    "chaos/test_secrets.py",
    "application/test_public_views.py",
    "unit/test_plugin.py",
    "cli/test_report_command.py",
    "cli/test_live_check.py",
    "application/test_users_server.py",
)
"""Those of more than 25 seconds, as measured; a file whose tests grow beyond that belongs here."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put them first; the rest stays as it was collected."""
    rank = {config.rootpath / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
