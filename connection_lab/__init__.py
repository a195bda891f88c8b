"""What stands in a project's own process: `INSTALLED_APPS += ["connection_lab"]` adds system checks, and nothing else.

    manage.py check --deploy --tag database

It imports Django alone; the lab itself is started by the commands that the hints name.
"""
