"""Every view twice: as it should be, and below wrong/ as people write it."""

from django.urls import path

from shop import views, wrong

urlpatterns = [
    path("orders/", views.order),
    path("orders/keyed/", views.order_with_key),
    path("orders/mailed/", views.ordered_and_mailed),
    path("pay/", views.pay),
    path("tags/", views.tag),
    path("wrong/orders/", wrong.order),
    path("wrong/orders/unlocked/", wrong.order_unlocked),
    path("wrong/orders/mailed/", wrong.ordered_and_mailed),
    path("wrong/pay/", wrong.pay),
    path("wrong/tags/", wrong.tag),
]
