"""As platforms that give a database by its environment have it: without a default, so that what is missing is seen."""

import os

DATABASES = {
    "default": {
        "ENGINE": "reader",
        "NAME": "shop",
        "HOST": os.environ["PGHOST"],
        "PASSWORD": os.environ["PGPASSWORD"],
    }
}
