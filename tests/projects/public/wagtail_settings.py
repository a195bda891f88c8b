"""wagtail: its own project template, as `wagtail start` fills it in, on PostgreSQL."""

import shutil
import sys
import tempfile
from pathlib import Path

import wagtail

TEMPLATE = Path(wagtail.__file__).parent / "project_template" / "project_name" / "settings"
FOLDER = Path(tempfile.mkdtemp(prefix="lab-wagtail-"))
(FOLDER / "mysite" / "settings").mkdir(parents=True)
for source in TEMPLATE.parent.rglob("*.py*"):
    target = FOLDER / "mysite" / str(source.relative_to(TEMPLATE.parent)).replace(".py-tpl", ".py").replace(".tpl", "")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text()
    for name, value in (
        ("{{ project_name }}", "mysite"),
        ("{{ secret_key }}", "x" * 50),
        ("{{ docs_version }}", "5.2"),
    ):
        text = text.replace(name, value)
    target.write_text(text)
(FOLDER / "mysite" / "__init__.py").touch()
sys.path.insert(0, str(FOLDER))
from mysite.settings.base import *  # noqa: E402, F403

shutil.rmtree(FOLDER)
INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in ("home", "search")]  # noqa: F405 - the site's own code
ROOT_URLCONF = "django.conf.urls"
SECRET_KEY = "for a test"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "db.internal"}}
