"""A front desk: the shop's settings with another app."""

from settings import *  # noqa: F403
from settings import INSTALLED_APPS as OF_THE_SHOP

INSTALLED_APPS = [*OF_THE_SHOP, "django.contrib.messages", "desk"]
ROOT_URLCONF = "desk.urls"
