"""The same views, right."""

import logging

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect

from desk import outside
from desk.models import Booking, Counter, Event, Guest, Invoice, Job, Member, Seat, Wallet

log = logging.getLogger(__name__)


def spend(request):
    amount = int(request.POST["amount"])
    if not Wallet.objects.filter(owner="ann", balance__gte=amount).update(balance=F("balance") - amount):
        return JsonResponse({"error": "broke"}, status=402)
    return JsonResponse({})


@transaction.atomic
def spend_unlocked_after(request):
    wallet = Wallet.objects.select_for_update().get(owner="ann")
    wallet.balance -= int(request.POST["amount"])
    wallet.save()
    return JsonResponse({})


@transaction.atomic
def book_if_free(request):
    seat = get_object_or_404(Seat.objects.select_for_update(), number=1)
    if Booking.objects.filter(seat=seat).exists():
        return JsonResponse({"error": "taken"}, status=409)
    Booking.objects.create(seat=seat, guest=request.POST["guest"])
    return JsonResponse({}, status=201)


def hit(request):
    Counter.objects.filter(name="hits").update(value=F("value") + 1)
    return HttpResponse("ok")


def visit(request):
    _member, new = Member.objects.update_or_create(mail=request.POST["mail"], defaults={"visits": 1})
    return JsonResponse({"new": new})


def invoice_number(request):
    with transaction.atomic():
        counter = Counter.objects.select_for_update().get(name="invoices")
        counter.value += 1
        counter.save()
        Invoice.objects.create(number=counter.value)
    return JsonResponse({}, status=201)


def edit_note(request):
    seat = Seat.objects.get(number=1)
    seat.note = request.POST["note"]
    seat.save(update_fields=["note"])
    return HttpResponse("ok")


def edit_state(request):
    seat = Seat.objects.get(number=1)
    seat.state = request.POST["state"]
    seat.save(update_fields=["state"])
    return HttpResponse("ok")


@transaction.atomic
def claim(request):
    job = Job.objects.select_for_update(skip_locked=True).filter(state="new").order_by("pk").first()
    if job is None:
        return HttpResponse(status=204)
    job.state = "done"
    job.done += 1
    job.save()
    return JsonResponse({})


def join(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest=request.POST["guest"])
        Member.objects.get_or_create(mail=request.POST["mail"])
    return JsonResponse({}, status=201)


def replace_list(request):
    with transaction.atomic():
        seat = Seat.objects.select_for_update().get(number=1)
        Booking.objects.filter(seat=seat).delete()
        Booking.objects.bulk_create([Booking(seat=seat, guest=f"{request.POST['guest']}{n}") for n in range(2)])
    return HttpResponse("ok")


def pay_over_http(request):
    outside.charge()
    Wallet.objects.filter(owner="ann").update(balance=F("balance") - int(request.POST["amount"]))
    return HttpResponse("ok")


def mail_first(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        transaction.on_commit(lambda: send_mail("Booked", str(booking.pk), "desk@example.com", ["ann@example.com"]))
        Invoice.objects.create(booking=booking)
    return JsonResponse({}, status=201)


def hook_outside(request):
    with transaction.atomic():
        transaction.on_commit(lambda: send_mail("Booked", "", "desk@example.com", ["ann@example.com"]), robust=True)
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def cache_counter(request):
    cache.delete("bookings")
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def webhook(request):
    with transaction.atomic():
        _, new = Event.objects.get_or_create(number=request.POST["event"])
        if new:
            Wallet.objects.filter(owner="ann").update(balance=F("balance") + 5)
    return HttpResponse("ok")


@transaction.atomic
def signalled(request):
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="signal")
    return JsonResponse({}, status=201)


def enqueue(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        transaction.on_commit(lambda: outside.queue.append(booking.pk))
        Seat.objects.filter(number=1).update(state="taken")
    return JsonResponse({}, status=201)


def nested_except(request):
    with transaction.atomic():
        booking = Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        try:
            with transaction.atomic():
                Invoice.objects.create(booking=booking)
        except IntegrityError:
            log.exception("no invoice")
    return JsonResponse({}, status=201)


@transaction.atomic
def chunks(request):
    seat = Seat.objects.get(number=1)
    for chunk in ("ab", "cd", "ef"):
        Booking.objects.bulk_create([Booking(seat=seat, guest=name) for name in chunk])
    return JsonResponse({}, status=201)


def charge_in_transaction(request):
    """The intent is committed first, with the key that the payment service is asked with."""
    seat = Seat.objects.get(number=1)
    Booking.objects.get_or_create(key="k", defaults={"seat": seat, "guest": "ann", "state": "pending"})
    outside.charge("k")
    with transaction.atomic():
        booking = Booking.objects.select_for_update().get(key="k")
        if booking.state == "pending":
            Wallet.objects.filter(owner="ann").update(balance=F("balance") - 5)
            booking.state = "paid"
            booking.save()
    return JsonResponse({}, status=201)


def not_atomic(request):
    Seat.objects.filter(number=1).update(state="taken")
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def thanks(request):
    try:
        with transaction.atomic():
            Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    except DatabaseError:
        log.exception("booking")
        return HttpResponse("try again", status=503)
    return redirect("/thanks/")


def retried_by_client(request):
    with transaction.atomic():
        Booking.objects.get_or_create(
            key=request.POST["key"], defaults={"seat": Seat.objects.get(number=1), "guest": "ann"}
        )
    return JsonResponse({}, status=201)


def failing_hook(request):
    with transaction.atomic():
        _, _new = Booking.objects.get_or_create(
            key=request.POST["key"], defaults={"seat": Seat.objects.get(number=1), "guest": "ann"}
        )
        transaction.on_commit(lambda: Counter.objects.filter(name="hits").update(value=7), robust=True)
    return JsonResponse({}, status=201)


@transaction.atomic
def status_before(request):
    job = Job.objects.order_by("pk").first()
    job.state = "done"
    job.save()
    Invoice.objects.create(number=job.pk)
    return HttpResponse("ok")


def loop_with_skip(request):
    """Says what it has made."""
    made = 0
    for name in "abc":
        try:
            with transaction.atomic():
                Guest.objects.create(mail=name)
            made += 1
        except DatabaseError:
            log.warning("failed")
            return JsonResponse({"made": made}, status=500)
    return JsonResponse({"made": made}, status=201)


async def in_two_threads(request):
    @transaction.atomic
    def work():
        Wallet.objects.filter(owner="ann").update(balance=95)
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")

    await sync_to_async(work)()
    return JsonResponse({}, status=201)


def reconnects(request):
    """Tries the connection before the first statement, where nothing can be lost."""
    for attempt in range(3):
        try:
            connection.ensure_connection()
            break
        except OperationalError:
            if attempt == 2:
                raise
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        Invoice.objects.create(number=1)
    return JsonResponse({}, status=201)


@transaction.atomic
def manual_commit(request):
    Wallet.objects.filter(owner="ann").update(balance=F("balance") - 5)
    Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
    return JsonResponse({}, status=201)


def session_cart(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="ann")
        request.session["cart"] = []
        request.session.save()
    return JsonResponse({}, status=201)


def outside_cursor(request):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE desk_wallet SET balance = balance - 5 WHERE owner = 'ann'")
        cursor.execute(
            "INSERT INTO desk_booking (seat_id, guest, state) SELECT id, 'ann', 'open' FROM desk_seat WHERE number = 1"
        )
    return JsonResponse({}, status=201)
