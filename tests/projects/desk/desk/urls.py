from django.db.models.signals import post_save
from django.http import HttpResponse
from django.urls import path

from desk import odd, right, wrong
from desk.models import Booking, Invoice

urlpatterns = [path("thanks/", lambda request: HttpResponse("thanks"))]
for module in (right, wrong, odd):
    side = module.__name__.rpartition(".")[2]
    urlpatterns += [
        path(f"{side}/{name}/", view)
        for name, view in vars(module).items()
        if callable(view) and getattr(view, "__module__", "") == module.__name__
    ]


def invoice(sender, instance, created, **kwargs):
    if created and instance.guest == "signal":
        Invoice.objects.create(booking=instance)


post_save.connect(invoice, sender=Booking)
