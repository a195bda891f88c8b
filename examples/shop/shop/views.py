"""The same views, right."""

from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse

from shop.models import Account, Letter, Order, Payment, Product, Tag


@transaction.atomic
def order(request: HttpRequest) -> HttpResponse:
    """One transaction, and the stock is locked before it is read."""
    product = Product.objects.select_for_update().get(sku=request.POST["sku"])
    n = int(request.POST["n"])
    if product.stock < n:
        return JsonResponse({"error": "sold out"}, status=409)
    product.stock -= n
    product.save()
    made = Order.objects.create(product=product, quantity=n)
    return JsonResponse({"id": made.pk}, status=201)


@transaction.atomic
def order_with_key(request: HttpRequest) -> HttpResponse:
    """A client that asks again, because it got no answer, asks with the same key and gets the same order."""
    product = Product.objects.select_for_update().get(sku=request.POST["sku"])
    n = int(request.POST["n"])
    made, new = Order.objects.get_or_create(key=request.POST["key"], defaults={"product": product, "quantity": n})
    if new:
        Product.objects.filter(pk=product.pk).update(stock=F("stock") - n)
    return JsonResponse({"id": made.pk}, status=201)


def pay(request: HttpRequest) -> HttpResponse:
    """An error of the database is an error."""
    with transaction.atomic():
        account = Account.objects.select_for_update().get(owner=request.POST["owner"])
        product = Product.objects.select_for_update().get(sku=request.POST["sku"])
        account.balance -= product.price
        account.save()
        made = Order.objects.create(product=product, quantity=1)
        Payment.objects.create(order=made, amount=product.price)
    return JsonResponse({"paid": True}, status=201)


def ordered_and_mailed(request: HttpRequest) -> HttpResponse:
    """The letter is written down in the same transaction; it is sent when that one is over, and by a job if not."""
    with transaction.atomic():
        product = Product.objects.select_for_update().get(sku=request.POST["sku"])
        made = Order.objects.create(product=product, quantity=1)
        letter = Letter.objects.create(order=made)
        transaction.on_commit(lambda: send(letter))
    return JsonResponse({"id": made.pk}, status=201)


def send(letter: Letter) -> None:
    """Send a letter of the outbox."""
    send_mail("Your order", f"order {letter.order_id}", "shop@example.com", ["customer@example.com"])
    Letter.objects.filter(pk=letter.pk).update(sent=True)


def tag(request: HttpRequest) -> HttpResponse:
    """Every request for a name gets the same tag: a lock on the name stands for the constraint that is missing."""
    with transaction.atomic():
        Product.objects.select_for_update().get(sku="a")
        found, _ = Tag.objects.get_or_create(name=request.POST["name"])
    return JsonResponse({"id": found.pk}, status=201)
