"""Right views as public projects write them: two at once, in every order, and none is accused."""

from __future__ import annotations

import re

import pytest

from fix_application import Project
from public_project import PUBLIC, SETTINGS

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

PAIRS = """
import io
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient
from shop.models import Account, Order, Product, Tag

pytestmark = pytest.mark.django_db

@pytest.fixture
def site(transactional_db):
    User.objects.create_superuser("root", password="secret")
    product = Product.objects.create(sku="a", stock=10)
    Product.objects.create(sku="b", stock=10)
    Order.objects.create(product=product, quantity=1)
    Tag.objects.create(name="old")
    Tag.objects.create(name="older")
    Account.objects.create(owner="bob", balance=1)

def post(path, data, client=None):
    client = client or Client()
    return lambda: client.post(path, data)

def root():
    client = Client()
    client.login(username="root", password="secret")
    return client

def test_login(site, every_order):
    data = {"username": "root", "password": "secret"}
    every_order(post("/login/", data), post("/login/", data))

def test_logout(site, every_order):
    every_order(post("/logout/", {}, root()), post("/logout/", {}, root()))

def test_admin_add(site, every_order):
    every_order(
        post("/admin/shop/product/add/", {"sku": "c", "stock": 1, "price": 1}, root()),
        post("/admin/shop/product/add/", {"sku": "d", "stock": 2, "price": 2}, root()), preemptions=1)

def test_admin_change(site, every_order):
    path = f"/admin/shop/product/{Product.objects.get(sku='a').pk}/change/"
    every_order(
        post(path, {"sku": "a", "stock": 3, "price": 1}, root()),
        post(path, {"sku": "a", "stock": 4, "price": 2}, root()), preemptions=1)

def test_drf_create(site, every_order):
    one, other = APIClient(), APIClient()
    every_order(
        lambda: one.post("/api/products/", {"sku": "c", "stock": 1}, format="json"),
        lambda: other.post("/api/products/", {"sku": "d", "stock": 1}, format="json"))

def test_drf_update(site, every_order):
    one, other, pk = APIClient(), APIClient(), Product.objects.get(sku="a").pk
    every_order(
        lambda: one.patch(f"/api/products/{pk}/", {"stock": 4}, format="json"),
        lambda: other.patch(f"/api/products/{pk}/", {"stock": 5}, format="json"))

def test_drf_list(site, every_order):
    api = APIClient()
    every_order(lambda: api.get("/api/products/"), post("/count/", {}))

def test_create_view(site, every_order):
    every_order(post("/tags/add/", {"name": "one"}), post("/tags/add/", {"name": "two"}))

def test_update_view(site, every_order):
    pk = Tag.objects.get(name="old").pk
    every_order(post(f"/tags/{pk}/", {"name": "one"}), post(f"/tags/{pk}/", {"name": "two"}))

def test_delete_view(site, every_order):
    first, second = Tag.objects.values_list("pk", flat=True)
    every_order(post(f"/tags/{first}/delete/", {}), post(f"/tags/{second}/delete/", {}))

def test_formset(site, every_order):
    def data(name):
        return {"form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 2,
                "form-0-id": Tag.objects.first().pk, "form-0-name": "old",
                "form-1-id": Tag.objects.last().pk, "form-1-name": "older", "form-2-name": name}
    every_order(post("/formset/", data("one")), post("/formset/", data("two")), preemptions=1)

def test_bulk_import(site, every_order):
    def call(rows):
        client = Client()
        return lambda: client.post("/bulk_import/", {"file": io.StringIO("sku,stock\\n" + rows)})
    every_order(call("u,1\\nv,2\\nw,3\\n"), call("x,1\\ny,2\\nz,3\\n"))

def test_signup(site, every_order):
    def data(name):
        return {"username": name, "password1": "xu7-lamp-oil", "password2": "xu7-lamp-oil"}
    every_order(post("/signup/", data("ann")), post("/signup/", data("eve")), preemptions=1)

def test_idempotent(site, every_order):
    every_order(post("/idempotent/", {"key": "k"}), post("/idempotent/", {"key": "k"}))

@pytest.mark.parametrize(("name", "data"), [
    ("update_or_create", {"owner": "ann"}),
    ("update_or_create", {"owner": "bob"}),
    ("bulk_update", {}),
    ("count", {}),
    ("conflict", {"sku": "c"}),
    ("cart", {"sku": "a"}),
    ("worker", {}),
    ("durable", {}),
    ("listing", {}),
])
def test_view(site, every_order, name, data):
    every_order(post(f"/{name}/", data), post(f"/{name}/", data))
"""


SOME = "login or drf_create or bulk_import or idempotent or update_or_create"
"""What is run for each push: the others are the nightly job's."""


def run(project: Project, driver: str, *arguments: str) -> list[str]:
    """How many orders each test had; none of them is accused."""
    project.write("settings_public.py", SETTINGS)
    project.write("public.py", PUBLIC)
    project.write("test_views.py", PAIRS)
    ran = project.pytest("--ds=settings_public", f"--lab-driver={driver}", "test_views.py", *arguments)
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    lines = re.findall(r"every_order: 2 requests, (\d+) orders with", ran.text)
    assert " void" not in ran.text
    return lines


def test_some_right_views_are_not_accused_in_any_order(project: Project) -> None:
    lines = run(project, "psycopg", "-k", SOME)
    assert len(lines) == 6
    assert sum(map(int, lines)) > 40


@pytest.mark.nightly
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_no_right_view_is_accused_in_any_order(project: Project, driver: str) -> None:
    lines = run(project, driver)
    assert len(lines) == 23
    assert sum(map(int, lines)) > 200
