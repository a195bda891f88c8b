"""A project whose secrets stand in many places."""

AAD_OPTIONS = {"SP_CLIENT_ID": "id", "SP_CLIENT_SECRET": "s3cret-of-the-cloud"}
BROKER_URL = "amqp://shop:s3cret-of-the-broker@mq.internal/shop"
DATABASES = {
    "default": {
        "ENGINE": "leaks",
        "NAME": "x",
        "USER": "u",
        "PASSWORD": "s3cret-of-the-project",
        "AAD_OPTIONS": AAD_OPTIONS,
        "VAULT_TOKEN": "s3cret-of-the-vault",
        "NESTED": [{"more": {"api_key": "s3cret-in-a-list"}}],
        "OPTIONS": {"sslpassword": "s3cret-of-the-key", "sslmode": "prefer", "application_name": "shop"},
    }
}
