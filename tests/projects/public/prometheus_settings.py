"""django-prometheus as its README says it: its ENGINE counts, its middleware measures."""

SECRET_KEY = "for a test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_prometheus"]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django_prometheus.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop",
        "HOST": "db.internal",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
PROMETHEUS_EXPORT_MIGRATIONS = False
