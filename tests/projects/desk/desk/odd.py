"""Right views that do odd things."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.db.models import F
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from desk.models import Booking, Counter, Guest, Job, Member, Seat
from desk.outside import code


def in_threads(request):
    """Two threads, a row each; both must have done it."""

    def work(name):
        try:
            Guest.objects.create(mail=name)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ["a", "b"]))
    return HttpResponse("ok")


def one_thread(request):
    errors = []

    def work():
        try:
            Counter.objects.filter(name="hits").update(value=F("value") + 1)
        except DatabaseError as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return HttpResponse("ok")


async def gathered(request):
    await asyncio.gather(Counter.objects.filter(name="hits").aupdate(value=F("value") + 1), Seat.objects.acount())
    return HttpResponse("ok")


def iterated(request):
    return HttpResponse(",".join(str(seat.number) for seat in Seat.objects.iterator(chunk_size=1)))


def durable(request):
    with transaction.atomic(durable=True):
        Counter.objects.filter(name="hits").update(value=F("value") + 1)
    return HttpResponse("ok")


def nowait(request):
    try:
        with transaction.atomic():
            seat = Seat.objects.select_for_update(nowait=True).get(number=1)
            seat.state = "seen"
            seat.save()
            Booking.objects.create(seat=seat, guest="x")
    except OperationalError as error:
        if code(error) == "55P03":
            return HttpResponse("busy", status=409)
        raise
    return HttpResponse("ok")


def advisory(request):
    """A lock of the session, given back by hand."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
        try:
            counter = Counter.objects.get(name="hits")
            counter.value += 1
            counter.save()
        finally:
            if connection.connection is not None and connection.is_usable():
                cursor.execute("SELECT pg_advisory_unlock(7)")
    return HttpResponse("ok")


@transaction.atomic
def advisory_transaction(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(8)")
    counter = Counter.objects.get(name="hits")
    counter.value += 1
    counter.save()
    return HttpResponse("ok")


def savepoints(request):
    """The lock is given back by the rollback to a savepoint."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                Seat.objects.select_for_update().get(number=1)
                raise ValueError
        except ValueError:
            pass
        Counter.objects.filter(name="hits").update(value=F("value") + 1)
    return HttpResponse("ok")


def streamed(request):
    def rows():
        for seat in Seat.objects.all():
            yield f"{seat.number}\n"

    return StreamingHttpResponse(rows())


def expected_error(request):
    """A duplicate is expected, and nothing else is in the block."""
    Seat.objects.filter(number=1).update(note="seen")
    with transaction.atomic():
        try:
            Member.objects.create(mail="m")
        except DatabaseError:
            if connection.connection is None or connection.connection.closed:
                raise
    return HttpResponse("ok")


def form_again(request):
    """A form that is shown again, with status 200, when the name is taken."""
    try:
        with transaction.atomic():
            Booking.objects.create(seat=Seat.objects.get(number=1), guest="x")
            Member.objects.create(mail="m")
    except DatabaseError as error:
        if code(error) == "23505":
            return HttpResponse("taken, choose another")
        raise
    return HttpResponse("welcome")


def dry_run(request):
    with transaction.atomic():
        Booking.objects.create(seat=Seat.objects.get(number=1), guest="x")
        transaction.set_rollback(True)
    return HttpResponse("would be booked")


def skips_busy(request):
    with transaction.atomic():
        for job in Job.objects.select_for_update(skip_locked=True).filter(state="new")[:1]:
            Job.objects.filter(pk=job.pk).update(state="done", done=F("done") + 1)
    return HttpResponse("ok")


def retried_serializable(request):
    for attempt in range(5):
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                counter = Counter.objects.get(name="hits")
                counter.value += 1
                counter.save()
            return HttpResponse("ok")
        except OperationalError as error:
            if code(error) not in ("40001", "40P01") or attempt == 4:
                raise
    return None


def raw_copy(request):
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("INSERT INTO desk_guest (mail, visits) SELECT 'g' || n, 0 FROM generate_series(1, 50) n")
    return HttpResponse("ok")


def graphql(request):
    """Says 200 whatever happens, and in its body what did."""
    try:
        with transaction.atomic():
            Booking.objects.create(seat=Seat.objects.get(number=1), guest="x")
    except DatabaseError:
        return JsonResponse({"errors": ["not booked"]})
    return JsonResponse({"data": {}})
