"""Right views as public projects write them: none is accused, whatever is cut, with both drivers."""

from __future__ import annotations

import re

import pytest

from fix_application import Project, Ran

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

SETTINGS = """
from settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin", "django.contrib.messages", "rest_framework"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ], "builtins": ["django.templatetags.i18n"]},
}]
ROOT_URLCONF = "public"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_REDIRECT_URL = "/"
"""

PUBLIC = """
import csv
import io
from django.contrib import admin
from django.contrib.auth import login, views as auth_views
from django.contrib.auth.forms import UserCreationForm
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import F
from django.forms import modelformset_factory
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import include, path
from django.views import generic
from rest_framework import routers, serializers, viewsets
from shop.models import Account, Letter, Order, Payment, Product, Tag

admin.site.register([Product, Tag, Order])

class ProductSerializer(serializers.ModelSerializer):
    class Meta:
        model = Product
        fields = ["id", "sku", "stock", "price"]

class ProductViewSet(viewsets.ModelViewSet):
    queryset = Product.objects.order_by("pk")
    serializer_class = ProductSerializer
    permission_classes = []
    authentication_classes = []

router = routers.SimpleRouter()
router.register("products", ProductViewSet)

class TagCreate(generic.CreateView):
    model = Tag
    fields = ["name"]
    success_url = "/"

class TagUpdate(generic.UpdateView):
    model = Tag
    fields = ["name"]
    success_url = "/"

class TagDelete(generic.DeleteView):
    model = Tag
    success_url = "/"

def get_or_create(request):
    tag, made = Tag.objects.get_or_create(name=request.POST["name"])
    return JsonResponse({"id": tag.pk}, status=201 if made else 200)

def update_or_create(request):
    account, _ = Account.objects.update_or_create(owner=request.POST["owner"], defaults={"balance": 7})
    return JsonResponse({"id": account.pk})

def formset(request):
    made = modelformset_factory(Tag, fields=["name"], extra=2)(request.POST)
    if not made.is_valid():
        return JsonResponse({"errors": made.errors}, status=400)
    with transaction.atomic():
        made.save()
    return redirect("/")

@transaction.atomic
def bulk_import(request):
    rows = csv.DictReader(io.StringIO(request.FILES["file"].read().decode()))
    Product.objects.bulk_create([Product(**row) for row in rows], batch_size=2)
    return HttpResponse(status=204)

def bulk_update(request):
    with transaction.atomic():
        products = list(Product.objects.select_for_update().order_by("pk"))
        for product in products:
            product.price += 1
        Product.objects.bulk_update(products, ["price"])
    return HttpResponse(status=204)

def count(request):
    Product.objects.filter(sku="a").update(stock=F("stock") - 1)
    return HttpResponse(status=204)

def conflict(request):
    try:
        with transaction.atomic():
            Product.objects.create(sku=request.POST["sku"], stock=1)
    except IntegrityError:
        return JsonResponse({"error": "there is one"}, status=409)
    return HttpResponse(status=201)

def signup(request):
    form = UserCreationForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    with transaction.atomic():
        user = form.save()
        Account.objects.create(owner=user.username, balance=0)
    login(request, user)
    return redirect("/")

def cart(request):
    request.session["cart"] = [*request.session.get("cart", []), request.POST["sku"]]
    return HttpResponse(status=204)

def worker(request):
    with transaction.atomic():
        product = Product.objects.select_for_update(skip_locked=True).filter(stock__gt=0).order_by("pk").first()
        if product is None:
            return HttpResponse(status=204)
        product.stock -= 1
        product.save(update_fields=["stock"])
        Order.objects.create(product=product, quantity=1)
    return HttpResponse(status=201)

def durable(request):
    with transaction.atomic(durable=True):
        order = Order.objects.create(product=Product.objects.get(sku="a"), quantity=1)
        with transaction.atomic():
            Payment.objects.create(order=order, amount=5)
        Letter.objects.create(order=order)
        transaction.on_commit(lambda: send_mail("Yours", "…", "shop@example.com", ["ann@example.com"]))
    return HttpResponse(status=201)

def listing(request):
    orders = Order.objects.select_related("product").prefetch_related("letter_set")
    return JsonResponse({"orders": [[o.product.sku, len(o.letter_set.all())] for o in orders]})

def export(request):
    return StreamingHttpResponse(f"{p.sku}\\n" for p in Product.objects.iterator())

def idempotent(request):
    with transaction.atomic():
        product = get_object_or_404(Product.objects.select_for_update(), sku="a")
        order, made = Order.objects.get_or_create(key=request.POST["key"], defaults={"product": product, "quantity": 1})
        if made:
            product.stock -= 1
            product.save()
    return JsonResponse({"id": order.pk}, status=201 if made else 200)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", auth_views.LoginView.as_view(template_name="admin/login.html")),
    path("logout/", auth_views.LogoutView.as_view(next_page="/")),
    path("password/", auth_views.PasswordChangeView.as_view(success_url="/")),
    path("api/", include(router.urls)),
    path("tags/add/", TagCreate.as_view()),
    path("tags/<int:pk>/", TagUpdate.as_view()),
    path("tags/<int:pk>/delete/", TagDelete.as_view()),
    *(path(f"{view.__name__}/", view) for view in (
        get_or_create, update_or_create, formset, bulk_import, bulk_update, count, conflict, signup, cart, worker,
        durable, listing, export, idempotent)),
    path("", listing),
]
"""

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


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_no_right_view_is_accused(project: Project, driver: str) -> None:
    ran = run(project, driver)
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    lines = re.findall(r"every_cut: (\d+) statements?, (\d+) cuts? in .*", ran.text)
    assert len(lines) == 28
    assert sum(int(cuts) for _, cuts in lines) > 300
    assert " void" not in ran.text
