"""Names the plugins and holds no logic."""

pytest_plugins = ["lab.pytest_plugin", "fix_rig"]
