"""Names the plugins and holds no logic."""

pytest_plugins = [
    "lab.pytest_plugin",
    "fix_scratch",
    "fix_order",
    "fix_lab",
    "fix_zoo",
    "fix_fault",
    "fix_netns",
    "fix_docker",
    "fix_cli",
    "fix_rig",
    "fix_state",
    "fix_terminal",
    "fix_application",
]
