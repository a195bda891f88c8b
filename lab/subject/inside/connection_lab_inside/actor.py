"""An actor: one thread of requests, or of other units of work. It obeys one step at a time and says how it ended."""

from __future__ import annotations

import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.core import signals
from django.db import close_old_connections, connections, transaction

from connection_lab_inside import attempts, objects
from connection_lab_inside.chain import SIGNALLED, Exiting, chain_of
from connection_lab_inside.threads import others
from connection_lab_inside.uses import Uses, many, numbers

Message = dict[str, Any]

LOOK = """
SELECT lab.session(), current_database()::text, session_user::text, current_user::text, current_setting('TimeZone'),
       current_setting('transaction_isolation'), current_setting('default_transaction_isolation'),
       current_setting('search_path'), current_setting('default_transaction_read_only'),
       current_setting('statement_timeout'), coalesce(current_setting('lab.mark', true), ''),
       coalesce(current_setting('lab.alias', true), ''),
       (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind = 'r'),
       (SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'advisory'),
       (SELECT string_agg(c, ' ' ORDER BY c) FROM pg_catalog.pg_listening_channels() AS c),
       (SELECT string_agg(name, ' ' ORDER BY name) FROM pg_catalog.pg_prepared_statements WHERE from_sql),
       (SELECT string_agg(name, ' ' ORDER BY name) FROM pg_catalog.pg_cursors WHERE is_holdable)
"""
LOOK_FIELDS = (
    *("session", "database", "user", "role", "timezone", "isolation", "default_isolation", "search_path"),
    *("read_only", "statement_timeout", "mark", "alias", "temp_tables", "advisory_locks", "channels", "prepared"),
    "cursors",
)
"""Prepared statements are those of PREPARE: what the driver prepares by itself is its own business."""


SERIES = "SELECT generate_series(1, %s)"
FEW, CHUNK, MANY, OFTEN = 1000, 100, 5000, 12
"""Rows; rows that are fetched at once; more rows than fit into one chunk; executions after which drivers prepare."""


INSERT_MANY = "INSERT INTO lab.token (plan, token, gate) VALUES (%s, %s, %s)"
INSERT = f"{INSERT_MANY} RETURNING token, session, xid::text"
WRITES = {
    "": INSERT,
    "with": f"WITH made AS ({INSERT}) SELECT * FROM made",  # noqa: S608
    "function": "SELECT token, session, xid::text FROM lab.write(%s, %s, %s)",
    "update": "UPDATE lab.latest SET (plan, token, gate) = (%s, %s, %s) RETURNING token, session, xid::text",
}
"""Ways to write a row. What begins with SELECT or WITH is not always a read, and an UPDATE sent twice writes twice."""


REFUSED_ONCE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_locks
                   WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = {key}) THEN
        PERFORM pg_catalog.pg_advisory_lock_shared({key});
        RAISE EXCEPTION USING ERRCODE = '{condition}';
    END IF;
    PERFORM pg_catalog.pg_advisory_unlock_shared({key});
END $$
"""
"""A ROLLBACK takes back all that a refused statement did but a lock of its session: that is how the next one knows."""
CONDITIONS = {"serialization": "serialization_failure", "deadlock": "deadlock_detected", "lock": "lock_not_available"}


class ViewRaised(Exception):
    """Leaves an atomic block that the plan wants rolled back; the application catches it outside."""


class Forked(BaseException):
    """Ends the fork step in the child, which never was asked for it."""


class Sender:
    """Stands for the handler class that Django sends its request signals from."""


class Actor:
    """Runs steps on one thread; atomic blocks that were entered are left as a `with` statement would leave them."""

    def __init__(
        self,
        name: str,
        reply: Callable[[Message], None],
        fork: Callable[[Actor, Message], int],
        aliases: Mapping[str, str],
        *,
        stays: bool = False,
    ) -> None:
        self.name = name
        self._stays = stays  # the main thread cannot end before the process does
        self.busy = False
        self._reply = reply
        self._steps: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._blocks: list[tuple[str, Any]] = []
        self._in_request = False
        self._view_over = False  # an error left the view: the rest of the request's steps are skipped
        self._fork = fork
        self._aliases = aliases
        self._left_open: list[Any] = []
        self.rests_in = contextvars.copy_context()
        """The context variables that it had when it was last between two units of work."""
        self.uses = Uses()
        self.last_answer: Message | None = None
        """To its `stop` step: given by what joins its thread, because what the thread held goes with its very end."""

    def become(self, name: str, reply: Callable[[Message], None]) -> None:
        """In a forked child: the clone of the thread that forked, under a name of its own, with steps of its own."""
        self.name, self._reply, self._stays = name, reply, True
        self._steps = queue.SimpleQueue()

    def put(self, message: Message | None) -> None:
        """Hand over the next step; None ends the actor."""
        self._steps.put(message)

    def loop(self) -> None:
        """Obey until None or a `stop` step comes."""
        while (message := self._steps.get()) is not None:
            ends = message["do"] == "stop" and not self._stays
            if ends:
                self._reply = self._keep
            self._obey(message)
            if ends:
                return

    def _keep(self, answer: Message) -> None:
        self.last_answer = answer

    def _obey(self, message: Message) -> None:
        do = message["do"]
        if "alias" in message:
            message["alias"] = self._aliases.get(message["alias"], message["alias"])
        answer: Message = {"id": message["id"], "actor": self.name, "value": {}}
        if self._view_over and do not in ("begin", "end", "finish", "stop", "exit"):
            answer["ending"] = "skip"
            for descriptor in message.get("descriptors", ()):
                os.close(descriptor)  # of a child that does not come to be
            self._reply(answer)
            return
        tried, refused = attempts.begun(), attempts.failed()
        exiting = False
        try:
            self.busy = True
            try:
                value = getattr(self, f"_do_{do}")(message)
            finally:
                self.busy = False
            answer["ending"] = "skip" if value is None else "ok"
            answer["value"] = value or {}
        except Forked:
            return  # the parent answers
        except (Exception, *SIGNALLED) as error:  # whatever the variant raises is what we came to see
            exiting = isinstance(error, Exiting)
            answer["ending"] = "error"
            answer["chain"] = chain_of(error)
            if attempts.begun() > tried:
                answer["value"]["attempts"] = attempts.begun() - tried
                answer["value"]["attempts_failed"] = attempts.failed() - refused
            if not message.get("swallow") and do not in ("end", "finish"):
                self._view_ends(error, answer)
        if answer["ending"] != "error" and attempts.failed() > refused:  # it has tried again until one succeeded
            answer["value"]["attempts"] = attempts.begun() - tried
            answer["value"]["attempts_failed"] = attempts.failed() - refused
        answer["value"]["in_atomic"] = bool(self._blocks)
        if not self._in_request:
            self.rests_in = contextvars.copy_context()
        if self.uses.ran:
            answer["value"]["hooks"], self.uses.ran = self.uses.ran, []
        answer["value"] |= attempts.by_engine()
        self._reply(answer)
        if exiting:
            raise SystemExit(0)

    def _view_ends(self, error: BaseException, answer: Message) -> None:
        """The error propagates out of every atomic block; what leaves the outermost one is what a caller sees."""
        self._view_over = self._in_request
        had_blocks = bool(self._blocks)
        while self._blocks:
            _, block = self._blocks.pop()
            try:
                raise error
            except BaseException as flying:
                try:
                    block.__exit__(type(flying), flying, flying.__traceback__)
                except BaseException as other:
                    error = other
        if had_blocks:
            answer["left"] = chain_of(error)

    # -- units of work ------------------------------------------------------------------------------------------

    def _do_begin(self, message: Message) -> Message:
        self._in_request, self._view_over = True, False
        self._tell(message.get("tells", "request_started"))
        return {"thread": threading.get_native_id()}

    def _do_end(self, message: Message) -> Message:
        self._in_request, self._view_over = False, False
        never_left, self._blocks = len(self._blocks), []
        self._tell(message.get("tells", "request_finished"))
        return {"never_left": never_left}

    def _do_finish(self, message: Message) -> Message:
        self._tell(message.get("tells", "request_finished"))
        return {"done": True}

    def _tell(self, what: str) -> None:
        """What Django is told at the end of a unit of work, as those tell it who know of one."""
        if what == "request_started":
            signals.request_started.send(sender=Sender, environ={"PATH_INFO": f"/{self.name}"})
        elif what == "request_finished":
            signals.request_finished.send(sender=Sender)
        elif what == "close_old_connections":
            close_old_connections()

    # -- transactions -------------------------------------------------------------------------------------------

    def _do_enter(self, message: Message) -> Message:
        alias = message["alias"]
        block = transaction.atomic(using=alias, savepoint=message["savepoint"])
        block.__enter__()
        self._blocks.append((alias, block))
        return {"depth": len(self._blocks)}

    def _do_leave(self, message: Message) -> Message | None:
        if not self._blocks:
            return None
        _, block = self._blocks.pop()
        if message["outcome"] == "commit":
            block.__exit__(None, None, None)
            return {"depth": len(self._blocks)}
        try:
            raise ViewRaised
        except ViewRaised as flying:
            block.__exit__(type(flying), flying, flying.__traceback__)
        return {"depth": len(self._blocks)}

    def _do_autocommit(self, message: Message) -> Message:
        connections[message["alias"]].set_autocommit(message["on"])
        return {"on": message["on"]}

    def _do_commit(self, message: Message) -> Message:
        connections[message["alias"]].commit()
        return {"done": True}

    def _do_rollback(self, message: Message) -> Message:
        connections[message["alias"]].rollback()
        return {"done": True}

    def _do_close(self, message: Message) -> Message:
        connections[message["alias"]].close()
        return {"done": True}

    # -- statements ---------------------------------------------------------------------------------------------

    def _row(self, message: Message, sql: str, *params: Any) -> tuple[Any, ...]:
        with connections[message["alias"]].cursor() as cursor:
            cursor.execute(sql, params)
            return tuple(cursor.fetchone() or ()) if cursor.description else ()

    def _do_write(self, message: Message) -> Message:
        values = (message["plan"], message["token"], message.get("commit_gate"))
        if (gate := message.get("gate")) is not None:  # the gate comes first: cut there, the row does not exist yet
            row = self._row(
                message,
                "INSERT INTO lab.token (plan, token, gate) SELECT %s::text, %s::text, %s::bigint"
                " FROM (SELECT lab.gate(%s::bigint) OFFSET 0) AS held RETURNING token, session, xid::text",
                *values,
                gate,
            )
        elif message["by"] == "many":
            with connections[message["alias"]].cursor() as cursor:
                cursor.executemany(INSERT_MANY, [values, ("unread", *values[1:])])
            return {"token": message["token"]}
        else:
            row = self._row(message, WRITES[message["by"]], *values)
        return dict(zip(("token", "session", "xid"), row, strict=True))

    def _do_read(self, message: Message) -> Message:
        if (gate := message.get("gate")) is not None:
            row = self._row(
                message,
                "SELECT %s::text, lab.session() FROM (SELECT lab.gate(%s::bigint) OFFSET 0) AS held",
                message["nonce"],
                gate,
            )
        else:
            row = self._row(message, "SELECT %s::text, lab.session()", message["nonce"])
        return dict(zip(("nonce", "session"), row, strict=True))

    def _do_fail(self, message: Message) -> Message:
        connection = connections[message["alias"]]
        if message["by"] == "many":
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO lab.uniq (token) VALUES (%s), (%s)", [("twice", "twice")])
        elif message["by"] == "fetch":
            with connection.chunked_cursor() as cursor:
                cursor.execute("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)")
                cursor.fetchmany()
        elif message["cause"] == "unique":
            self._row(message, "INSERT INTO lab.uniq (token) VALUES ('twice'), ('twice')")
        elif condition := CONDITIONS.get(message["cause"]):
            self._row(message, REFUSED_ONCE.format(key=int(message["key"]), condition=condition))
        else:
            self._row(message, "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)")
        return {"refused": False}

    def _do_sql(self, message: Message) -> Message:
        connection = connections[message["alias"]]
        if message.get("raw"):
            connection.ensure_connection()
        with (connection.connection if message.get("raw") else connection).cursor() as cursor:
            cursor.execute(message["text"])
            row = cursor.fetchone() if cursor.description else None
        return {"row": [None if cell is None else str(cell) for cell in row or ()]}

    def _do_look(self, message: Message) -> Message:
        found = dict(zip(LOOK_FIELDS, self._row(message, LOOK), strict=True))
        # Asked without a connection of its own making: what Django believes of the one that it has.
        connection = connections[message["alias"]]
        own = {"autocommit": connection.get_autocommit(), "pool_max": objects.pool_max(), "threads": len(others())}
        return {**found, **own, **objects.look(connection)}

    def _do_set(self, message: Message) -> Message | None:
        return {"done": True} if objects.change(connections[message["alias"]], message["what"]) else None

    # -- what applications do besides ---------------------------------------------------------------------------

    def _do_use(self, message: Message) -> Message | None:
        how, connection = message["how"].replace("-", "_"), connections[message["alias"]]
        if hasattr(self.uses, how):
            whole = getattr(self.uses, how)(connection, message)
            return None if whole is None else {"whole": whole}
        used: Message | None = getattr(self, f"_use_{how}")(connection, message)
        return used

    def _use_open_cursor(self, connection: Any, message: Message) -> Message:
        cursor = connection.cursor()
        cursor.execute(SERIES, [FEW])
        self._left_open.append(cursor)
        return {"whole": cursor.fetchone() == (1,)}

    def _use_early_break(self, connection: Any, message: Message) -> Message:
        with connection.cursor() as cursor:
            cursor.execute(SERIES, [FEW])
            for (number,) in cursor:
                if number == 3:
                    break
        return {"whole": number == 3}

    def _use_iterator(self, connection: Any, message: Message) -> Message:
        with connection.chunked_cursor() as cursor:
            cursor.execute(SERIES, [many(message)])
            return {"whole": self._rest(cursor) == numbers(message)}

    def _use_iterator_break(self, connection: Any, message: Message) -> Message:
        with connection.chunked_cursor() as cursor:
            cursor.execute(SERIES, [MANY])
            return {"whole": [number for (number,) in cursor.fetchmany(CHUNK)] == list(range(1, CHUNK + 1))}

    def _use_iterator_across_commit(self, connection: Any, message: Message) -> Message:
        with connection.chunked_cursor() as cursor:
            cursor.execute(SERIES, [MANY])
            read = [number for (number,) in cursor.fetchmany(CHUNK)]
            with transaction.atomic(using=message["alias"]):
                self._row(message, "INSERT INTO lab.token (plan, token) VALUES (%s, %s)", "unread", message["token"])
            return {"whole": read + self._rest(cursor) == list(range(1, MANY + 1))}

    @staticmethod
    def _rest(cursor: Any) -> list[int]:
        found: list[int] = []
        while rows := cursor.fetchmany(CHUNK):
            found += [number for (number,) in rows]
        return found

    def _use_repeat(self, connection: Any, message: Message) -> Message:
        answers = [self._row(message, "SELECT %s::integer, lab.session()", number)[0] for number in range(OFTEN)]
        return {"whole": answers == list(range(OFTEN))}

    def _use_pipeline_left(self, connection: Any, message: Message) -> Message | None:
        connection.ensure_connection()
        if not hasattr(connection.connection, "pipeline"):
            return None
        with contextlib.suppress(ViewRaised), connection.connection.pipeline(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            raise ViewRaised
        return {"whole": True}

    # -- processes ----------------------------------------------------------------------------------------------

    def _do_fork(self, message: Message) -> Message:
        pid = self._fork(self, message)
        if not pid:
            raise Forked
        return {"pid": pid, "child": message["child"]}

    def _do_exit(self, message: Message) -> Message | None:
        if "." not in self.name:
            return None
        self._reply({"id": message["id"], "actor": self.name, "value": {}, "ending": "ok"})
        if message["how"] == "os._exit":
            os._exit(0)
        if message["how"] == "close_all":
            connections.close_all()
        raise SystemExit(0)

    def _do_stop(self, message: Message) -> Message | None:
        return None if self._stays else {"done": True}
