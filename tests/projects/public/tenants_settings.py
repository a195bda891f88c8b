"""django-tenants as its documentation says it: its ENGINE sets the search_path of each request's tenant."""

SECRET_KEY = "for a test"
SHARED_APPS = ["django_tenants", "django.contrib.contenttypes"]
TENANT_APPS = ["django.contrib.contenttypes"]
INSTALLED_APPS = SHARED_APPS
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_MODEL = "contenttypes.ContentType"
TENANT_DOMAIN_MODEL = "contenttypes.ContentType"
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": "shop",
        "HOST": "db.internal",
        "CONN_MAX_AGE": 60,
    }
}
