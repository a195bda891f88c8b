"""Right views as public projects write them: none is accused, whatever is cut, with both drivers."""

from __future__ import annotations

import re

import pytest

from fix_application import Project, Ran
from public_project import PUBLIC, SETTINGS

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

VIEWS = """
import io
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient
from shop.models import Order, Product, Tag

pytestmark = pytest.mark.django_db

@pytest.fixture
def site(transactional_db):
    User.objects.create_superuser("root", password="secret")
    product = Product.objects.create(sku="a", stock=10)
    Product.objects.create(sku="b", stock=10)
    Order.objects.create(product=product, quantity=1)
    Tag.objects.create(name="old")

@pytest.fixture
def root(site, client):
    client.login(username="root", password="secret")
    return client

def test_login(site, client, every_cut):
    every_cut(lambda: client.post("/login/", {"username": "root", "password": "secret"}))

def test_logout(root, every_cut):
    every_cut(lambda: root.post("/logout/"))

def test_password_change(root, every_cut):
    new = {"old_password": "secret", "new_password1": "xu7-lamp-oil", "new_password2": "xu7-lamp-oil"}
    every_cut(lambda: root.post("/password/", new))

def test_admin_add(root, every_cut):
    every_cut(lambda: root.post("/admin/shop/product/add/", {"sku": "c", "stock": 1, "price": 1}))

def test_admin_change(root, every_cut):
    pk = Product.objects.get(sku="a").pk
    every_cut(lambda: root.post(f"/admin/shop/product/{pk}/change/", {"sku": "a", "stock": 3, "price": 1}))

def test_admin_delete_selected(root, every_cut):
    pk = Tag.objects.get().pk
    every_cut(lambda: root.post("/admin/shop/tag/", {
        "action": "delete_selected", "_selected_action": pk, "post": "yes"}))

def test_admin_list(root, every_cut):
    every_cut(lambda: root.get("/admin/shop/product/"))

def test_drf_create(site, every_cut):
    api = APIClient()
    every_cut(lambda: api.post("/api/products/", {"sku": "c", "stock": 1}, format="json"))

def test_drf_update(site, every_cut):
    api, pk = APIClient(), Product.objects.get(sku="a").pk
    every_cut(lambda: api.patch(f"/api/products/{pk}/", {"stock": 4}, format="json"))

def test_drf_destroy(site, every_cut):
    api, pk = APIClient(), Product.objects.get(sku="b").pk
    every_cut(lambda: api.delete(f"/api/products/{pk}/"))

def test_drf_list(site, every_cut):
    api = APIClient()
    every_cut(lambda: api.get("/api/products/"))

def test_create_view(site, client, every_cut):
    every_cut(lambda: client.post("/tags/add/", {"name": "new"}))

def test_update_view(site, client, every_cut):
    pk = Tag.objects.get().pk
    every_cut(lambda: client.post(f"/tags/{pk}/", {"name": "newer"}))

def test_delete_view(site, client, every_cut):
    pk = Tag.objects.get().pk
    every_cut(lambda: client.post(f"/tags/{pk}/delete/"))

def test_formset(site, client, every_cut):
    pk = Tag.objects.get().pk
    every_cut(lambda: client.post("/formset/", {
        "form-TOTAL_FORMS": 3, "form-INITIAL_FORMS": 1, "form-0-id": pk, "form-0-name": "changed",
        "form-1-name": "one", "form-2-name": "two"}))

def test_bulk_import(site, client, every_cut):
    every_cut(lambda: client.post("/bulk_import/", {"file": io.StringIO("sku,stock\\nx,1\\ny,2\\nz,3\\n")}))

def test_idempotent_asked_again(site, client, every_cut):
    def once():
        assert Order.objects.filter(key="k").count() == 1
    every_cut(lambda: client.post("/idempotent/", {"key": "k"}), once, retry=True)

def test_streaming(site, client, every_cut):
    every_cut(lambda: client.get("/export/"))

@pytest.mark.parametrize(("name", "data"), [
    ("get_or_create", {"name": "new"}),
    ("update_or_create", {"owner": "ann"}),
    ("bulk_update", {}),
    ("count", {}),
    ("conflict", {"sku": "c"}),
    ("signup", {"username": "ann", "password1": "xu7-lamp-oil", "password2": "xu7-lamp-oil"}),
    ("cart", {"sku": "a"}),
    ("worker", {}),
    ("durable", {}),
    ("listing", {}),
])
def test_view(site, client, every_cut, name, data):
    every_cut(lambda: client.post(f"/{name}/", data))
"""


def run(project: Project, driver: str, *arguments: str) -> Ran:
    project.write("settings_public.py", SETTINGS)
    project.write("public.py", PUBLIC)
    project.write("test_views.py", VIEWS)
    return project.pytest("--ds=settings_public", f"--lab-driver={driver}", "test_views.py", *arguments)


@pytest.mark.parametrize("driver", ["psycopg", pytest.param("psycopg2", marks=pytest.mark.nightly)])
def test_no_right_view_is_accused(project: Project, driver: str) -> None:
    ran = run(project, driver)
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    lines = re.findall(r"every_cut: (\d+) statements?, (\d+) cuts? in .*", ran.text)
    assert len(lines) == 28
    assert sum(int(cuts) for _, cuts in lines) > 300
    assert " void" not in ran.text
