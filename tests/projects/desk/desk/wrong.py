"""Views as people write them, each with one fault."""

import contextlib
import logging

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Max
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect

from desk import outside
from desk.models import Booking, Counter, Event, Guest, Invoice, Job, Member, Seat, Wallet

log = logging.getLogger(__name__)


# orders


def spend(request):
    with transaction.atomic():
        wallet = Wallet.objects.get(owner="ann")
        amount = int(request.POST["amount"])
        if wallet.balance < amount:
            return JsonResponse({"error": "broke"}, status=402)
        wallet.balance -= amount
        wallet.save()
    return JsonResponse({"left": wallet.balance})


def spend_unlocked_after(request):
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(owner="ann")
    wallet.balance -= int(request.POST["amount"])
    wallet.save()
    return JsonResponse({})


def book_if_free(request):
    seat = get_object_or_404(Seat, number=1)
    if Booking.objects.filter(seat=seat).exists():
        return JsonResponse({"error": "taken"}, status=409)
    Booking.objects.create(seat=seat, guest=request.POST["guest"])
    return JsonResponse({}, status=201)


def hit(request):
    counter = Counter.objects.get(name="hits")
    Counter.objects.filter(pk=counter.pk).update(value=counter.value + 1)
    return HttpResponse("ok")


def visit(request):
    _guest, new = Guest.objects.update_or_create(mail=request.POST["mail"], defaults={"visits": 1})
    return JsonResponse({"new": new})


def invoice_number(request):
    with transaction.atomic():
        last = Invoice.objects.aggregate(m=Max("number"))["m"] or 0
        Invoice.objects.create(number=last + 1)
    return JsonResponse({}, status=201)


def edit_note(request):
    seat = Seat.objects.get(number=1)
    seat.note = request.POST["note"]
    seat.save()
    return HttpResponse("ok")


def edit_state(request):
    seat = Seat.objects.get(number=1)
    seat.state = request.POST["state"]
    seat.save()
    return HttpResponse("ok")


def claim(request):
    job = Job.objects.filter(state="new").order_by("pk").first()
    if job is None:
        return HttpResponse(status=204)
    job.state = "done"
    job.done += 1
    job.save()
    outside.queue.append(job.pk)
    return JsonResponse({})


def join(request):
    """Swallows the duplicate inside of the transaction, which PostgreSQL has aborted."""
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest=request.POST["guest"])
        with contextlib.suppress(IntegrityError):
            Member.objects.create(mail=request.POST["mail"])
    return JsonResponse({}, status=201)


def replace_list(request):
    seat = Seat.objects.get(number=1)
    with transaction.atomic():
        Booking.objects.filter(seat=seat).delete()
        Booking.objects.bulk_create([Booking(seat=seat, guest=f"{request.POST['guest']}{n}") for n in range(2)])
    return HttpResponse("ok")


def pay_over_http(request):
    """Reads, asks the payment service, and writes what it had read."""
    wallet = Wallet.objects.get(owner="ann")
    outside.charge()
    wallet.balance -= int(request.POST["amount"])
    wallet.save()
    return HttpResponse("ok")


def cached_read(request):
    with transaction.atomic():
        balance = Wallet.objects.get(owner="ann").balance
        Seat.objects.count()
        cache.set("balance", balance)
    return HttpResponse(str(balance))


# cuts


def mail_first(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        send_mail("Booked", str(booking.pk), "desk@example.com", ["ann@example.com"])
        Invoice.objects.create(booking=booking)
    return JsonResponse({}, status=201)


def hook_outside(request):
    transaction.on_commit(lambda: send_mail("Booked", "", "desk@example.com", ["ann@example.com"]))
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def cache_counter(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        cache.set("bookings", (cache.get("bookings") or 0) + 1)
    return JsonResponse({}, status=201)


def webhook(request):
    if Event.objects.filter(number=request.POST["event"]).exists():
        return HttpResponse("known")
    Event.objects.create(number=request.POST["event"])
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(owner="ann")
        wallet.balance += 5
        wallet.save()
    return HttpResponse("ok")


def signalled(request):
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="signal")
    return JsonResponse({}, status=201)


def enqueue(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        outside.queue.append(booking.pk)
        Seat.objects.filter(number=1).update(state="taken")
    return JsonResponse({}, status=201)


def nested_except(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        try:
            with transaction.atomic():
                Invoice.objects.create(booking=booking)
        except DatabaseError:
            log.exception("no invoice")
    return JsonResponse({}, status=201)


def chunks(request):
    seat = Seat.objects.get(number=1)
    for chunk in ("ab", "cd", "ef"):
        Booking.objects.bulk_create([Booking(seat=seat, guest=name) for name in chunk])
    return JsonResponse({}, status=201)


def charge_in_transaction(request):
    with transaction.atomic():
        wallet = Wallet.objects.select_for_update().get(owner="ann")
        outside.charge()
        wallet.balance -= 5
        wallet.save()
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def not_atomic(request):
    """With ATOMIC_REQUESTS it is right."""
    Seat.objects.filter(number=1).update(state="taken")
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def thanks(request):
    try:
        with transaction.atomic():
            Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    except Exception:
        log.exception("booking")
    return redirect("/thanks/")


def retried_by_client(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def failing_hook(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        transaction.on_commit(lambda: Counter.objects.filter(name="hits").update(value=7))
    return JsonResponse({}, status=201)


def status_before(request):
    """Says that it is done before it does it."""
    job = Job.objects.order_by("pk").first()
    job.state = "done"
    job.save()
    Invoice.objects.create(number=job.pk)
    return HttpResponse("ok")


def loop_with_skip(request):
    """Goes on with the next when one fails."""
    made = 0
    for name in "abc":
        try:
            Guest.objects.create(mail=name)
            made += 1
        except DatabaseError:
            log.warning("skipped")
            connection.close()
    return JsonResponse({"made": made}, status=201)


async def in_two_threads(request):
    await sync_to_async(Wallet.objects.filter(owner="ann").update)(balance=95)
    seat = await Seat.objects.aget(number=1)
    await Booking.objects.acreate(seat=seat, guest="ann")
    return JsonResponse({}, status=201)


def reconnects(request):
    """Opens a new connection in the middle of the work when the old one is lost, and goes on."""
    seat = Seat.objects.get(number=1)
    with contextlib.suppress(DatabaseError):
        Booking.objects.create(seat=seat, guest="ann")
    if not connection.is_usable():
        connection.close()
        connection.connect()
    Invoice.objects.create(number=1)
    return JsonResponse({}, status=201)


def manual_commit(request):
    """Compensates by hand instead of by a transaction."""
    wallet = Wallet.objects.get(owner="ann")
    Wallet.objects.filter(owner="ann").update(balance=wallet.balance - 5)
    try:
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    except DatabaseError:
        Wallet.objects.filter(owner="ann").update(balance=wallet.balance)
        raise
    return JsonResponse({}, status=201)


def session_cart(request):
    """The cart is emptied before the order is there."""
    request.session["cart"] = []
    request.session.save()
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def outside_cursor(request):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE desk_wallet SET balance = balance - 5 WHERE owner = 'ann'")
        cursor.execute(
            "INSERT INTO desk_booking (seat_id, guest, state) SELECT id, 'ann', 'open' FROM desk_seat WHERE number = 1"
        )
    return JsonResponse({}, status=201)
