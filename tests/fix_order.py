"""The order of the suite: the files that take longest come first, so that no worker is left with one at the end."""

from __future__ import annotations

from typing import Final

import pytest

LONGEST: Final = (
    "chaos/test_bundled.py",
    "chaos/test_real_projects.py",
    "chaos/test_zoo_session.py",
    "chaos/test_zoo.py",
    "application/test_connections.py",
    "chaos/test_zoo_unfaulted.py",
    "cli/test_installed.py",
    "application/test_every_order.py",
    "chaos/test_zoo_positions.py",
    "chaos/test_zoo_pools.py",
    "chaos/test_zoo_lifecycles.py",
    "unit/test_persistent_stories.py",
    "chaos/test_zoo_clock.py",
    "unit/test_plugin.py",
    "chaos/test_reports.py",
    "contract/test_netns_rig.py",
    "contract/test_fault_contract.py",
    "application/test_safety.py",
    "chaos/test_advise.py",
    "application/test_public_views.py",
    "application/test_state.py",
    "application/test_desk.py",
    "contract/test_fault_run.py",
    "cli/test_commands.py",
    "application/test_evidence.py",
    "application/test_public_orders.py",
    "application/test_users_server.py",
    "application/test_ways_to_the_server.py",
    "application/test_projects.py",
    "cli/test_report_command.py",
    "chaos/test_zoo_lifetime.py",
    "chaos/test_campaign_workers.py",
    "chaos/test_secrets.py",
    "cli/test_live_check.py",
    "application/test_every_cut.py",
)
"""Those of more than 25 seconds, as measured; a file whose tests grow beyond that belongs here."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put them first; the rest stays as it was collected."""
    rank = {config.rootpath / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
