"""Right views as public projects write them, to be written into a copy of the example shop."""

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
