"""Views as people write them, each wrong in one way that no ordinary test shows."""

from django.core.mail import send_mail
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from shop.models import Account, Order, Payment, Product, Tag


def order(request: HttpRequest) -> HttpResponse:
    """Takes the stock and makes the order, in two transactions."""
    product = Product.objects.get(sku=request.POST["sku"])
    n = int(request.POST["n"])
    if product.stock < n:
        return JsonResponse({"error": "sold out"}, status=409)
    product.stock -= n
    product.save()
    made = Order.objects.create(product=product, quantity=n)
    return JsonResponse({"id": made.pk}, status=201)


@transaction.atomic
def order_unlocked(request: HttpRequest) -> HttpResponse:
    """One transaction, but two requests may both read the same stock."""
    product = Product.objects.get(sku=request.POST["sku"])
    n = int(request.POST["n"])
    if product.stock < n:
        return JsonResponse({"error": "sold out"}, status=409)
    product.stock -= n
    product.save()
    made = Order.objects.create(product=product, quantity=n)
    return JsonResponse({"id": made.pk}, status=201)


def pay(request: HttpRequest) -> HttpResponse:
    """Swallows the error of the database and says that all is well."""
    try:
        with transaction.atomic():
            account = Account.objects.select_for_update().get(owner=request.POST["owner"])
            product = Product.objects.select_for_update().get(sku=request.POST["sku"])
            account.balance -= product.price
            account.save()
            made = Order.objects.create(product=product, quantity=1)
            Payment.objects.create(order=made, amount=product.price)
    except (OperationalError, InterfaceError):
        pass
    return JsonResponse({"paid": True}, status=201)


def ordered_and_mailed(request: HttpRequest) -> HttpResponse:
    """Sends the mail before the transaction is over: a lost COMMIT leaves a mail about an order that is not there."""
    with transaction.atomic():
        product = Product.objects.select_for_update().get(sku=request.POST["sku"])
        made = Order.objects.create(product=product, quantity=1)
        send_mail("Your order", f"order {made.pk}", "shop@example.com", ["customer@example.com"])
    return JsonResponse({"id": made.pk}, status=201)


def tag(request: HttpRequest) -> HttpResponse:
    """Looks, and then makes: two requests at once make two."""
    found = Tag.objects.filter(name=request.POST["name"]).first()
    if found is None:
        found = Tag.objects.create(name=request.POST["name"])
    return JsonResponse({"id": found.pk}, status=201)


class RetryEverything:
    """Middleware that sends a request through the view again after an error of the database, whatever it had done."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code >= 500:
            connection.close()
            response = self.get_response(request)
        return response
