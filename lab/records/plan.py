"""A plan: the only thing that is generated, enumerated, shrunk, stored, shipped and replayed.

The order of the steps is the interleaving. One step is begun only when the one before it has returned, or is
seen to block; a blocked step is waited for when the next step of its actor is due. An error that the application
does not swallow ends what it is in, as in a view: all atomic blocks are left with it, and the actor's steps up to
the end of the request are skipped. Any list of steps is therefore a plan, which is what shrinking needs.

A unit of work need not be a request: each actor has a lifecycle (lab/records/lifecycle.py), which says what Django is
told where one begins and ends. A statement outside any unit is one by itself where the actor's lifecycle tells nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from msgspec import Struct, field

from lab.records.lifecycle import TELLS, Lifecycle, Tells
from lab.records.variant import Variant

VERSION = 1


class FaultSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault by its registered name, with parameters that the fault itself validates."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)


StepName = Literal[
    "begin",
    "end",
    "finish",
    "enter",
    "leave",
    "write",
    "read",
    "fail",
    "sql",
    "look",
    "use",
    "set",
    "autocommit",
    "commit",
    "rollback",
    "close",
    "stop",
    "fork",
    "exit",
    "inject",
    "await",
    "heal",
    "elapse",
]
"""What a step is called wherever it is written down: `do` in a plan, `f` in a history. mypy refuses another name."""


class _Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="do", tag=str.lower):
    """What all steps share: in JSON each is an object whose `do` is the lower-case name of its class."""

    do: ClassVar[StepName]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.do = cast("StepName", cls.__name__.lower())


class Begin(_Step):
    """A unit of work begins on the actor's thread. A request: `request_started` fires; else as the lifecycle says."""

    actor: str


class End(_Step):
    """The unit of work is over, also inside an atomic block that was not left. A request: `request_finished` fires."""

    actor: str


class Finish(_Step):
    """The end of a streamed response is signalled at last: `request_finished` fires, whatever the thread is at."""

    actor: str


class Enter(_Step):
    """Enter `transaction.atomic()`; inside another one that is a savepoint."""

    actor: str
    savepoint: bool = True
    alias: str = "default"


class Leave(_Step):
    """Leave the innermost atomic block; `rollback`: with an exception that the application catches outside it."""

    actor: str
    outcome: Literal["commit", "rollback"] = "commit"


WriteWay = Literal["", "with", "function", "update", "many"]


class Write(_Step):
    """Insert a token of its own into `lab.token`.

    `hold` keeps the server inside the statement, or inside whichever COMMIT makes the row durable, until the
    actor's next step is due. `swallow`: the application catches the error and carries on. `by`: a statement that does
    not begin with INSERT, and writes all the same: WITH ... SELECT, the SELECT of a function, an UPDATE; or
    executemany(), of which the token is the first row.
    """

    actor: str
    hold: Literal["", "statement", "commit"] = ""
    by: WriteWay = ""
    swallow: bool = False
    alias: str = "default"


class Read(_Step):
    """Select a nonce of its own; `hold` keeps the server inside the query until the actor's next step is due."""

    actor: str
    hold: bool = False
    swallow: bool = False
    alias: str = "default"


FailCause = Literal["unique", "statement_timeout", "serialization", "deadlock", "lock"]
FailWay = Literal["", "many", "fetch"]


class Fail(_Step):
    """A statement that the server refuses while the session stays healthy.

    `serialization` (40001), `deadlock` (40P01) and `lock` (55P03, as of NOWAIT or lock_timeout) would succeed if they
    were sent once more: the server refuses them the first time alone. `by`: `unique` by executemany() (`many`),
    `statement_timeout` while rows of a cursor in the server are fetched (`fetch`).
    """

    actor: str
    cause: FailCause = "unique"
    by: FailWay = ""
    swallow: bool = False
    alias: str = "default"


class Sql(_Step):
    """One statement by hand, such as BEGIN or SET ROLE; its first row is kept in the history.

    `raw`: by a cursor of the driver's own connection object, of which Django's wrapper and its cursors see nothing.
    """

    actor: str
    text: str
    raw: bool = False
    swallow: bool = False
    alias: str = "default"


class Look(_Step):
    """What the session is like: whose it is, where, and every kind of state that a request can leave on it."""

    actor: str
    swallow: bool = False
    alias: str = "default"


NEWS = "NOTIFY lab_news"
"""What a consumer that has begun to `listen` waits for."""

UseName = Literal[
    "open-cursor",
    "early-break",
    "iterator",
    "iterator-break",
    "iterator-across-commit",
    "repeat",
    "execute-wrapper",
    "pipeline-left",
    "read-many",
    "stream",
    "stream-left",
    "copy-out",
    "copy-in",
    "rows",
    "rest-of-rows",
    "listen",
    "heard",
    "on-commit",
    "on-commit-query",
    "on-commit-block",
    "on-commit-robust",
    "savepoints",
    "for-update",
    "durable-inside",
    "bulk-load",
    "slow",
    "counted",
    "rowcounts",
    "no-transaction",
    "schema-editor",
    "schema-editor-refused",
    "create-test-database",
    "clone-test-database",
    "keep-test-database",
    "destroy-test-database",
]
IN_TEST_DATABASE: tuple[UseName, ...] = ("create-test-database", "clone-test-database")
"""After these a test database is in the place of the real one."""
TEST_DATABASE: tuple[UseName, ...] = (*IN_TEST_DATABASE, "keep-test-database", "destroy-test-database")


class Use(_Step):
    """Something legal that applications do besides one query read to its end; the history says if the result was whole.

    `open-cursor`: rows are left unread in a cursor that nothing closes. `early-break`: a loop over a cursor is left
    early. `iterator`: a server-side cursor, as QuerySet.iterator() has it, is read to the end, left early
    (`iterator-break`), or read on after a block of its own was committed (`iterator-across-commit`). `repeat`: one
    statement so often that a driver prepares it. `execute-wrapper`: a query within `connection.execute_wrapper()`,
    whose wrapper must be called, and gone afterwards. `pipeline-left`: psycopg's pipeline mode is left by an exception.

    `read-many`, `iterator`, `stream` (psycopg 3's), `copy-out`: `rows` rows, so many that a result can be cut;
    `copy-in`: 200 rows with the step's token. `stream-left`: psycopg's stream is left early, while the server is still
    at it; psycopg cancels the statement and keeps that to itself. `rows`: a response whose generator has read a part
    of its rows; `rest-of-rows`: it reads on.
    `listen`, and later `heard`: whether a NOTIFY has come since. `on-commit`: a hook, one that first asks something
    (`on-commit-query`), or one that is registered by another hook's block (`on-commit-block`); each answer says which
    hooks have run before it. `on-commit-robust`: a hook that raises, and is registered with robust=True, so that the
    others run all the same. In a block: `savepoints` by name, `for-update`, and a `durable-inside`, which must be
    refused.
    `bulk-load`: COPY of 40 MB into a table whose trigger works for 10 seconds before the first row: so long nothing is
    read. `slow`: a statement that takes 0.7 seconds.

    `counted`: a query within CaptureQueriesContext, whose cursors Django makes as under DEBUG. `rowcounts`: how many
    rows an UPDATE and a DELETE have changed. `no-transaction`, outside of blocks: VACUUM, which the server
    refuses in a transaction. `schema-editor`: a migration's statements; `schema-editor-refused`: one is refused, and
    the application goes on.

    What a test run does, by `connection.creation`: `create-test-database` (with keepdb where one was kept), of which
    `clone-test-database` makes and drops a copy as for parallel tests; `destroy-test-database`, and
    `keep-test-database`, which goes back to the real database and leaves the test database in place.
    """

    actor: str
    how: UseName
    rows: int = 5000
    swallow: bool = False
    alias: str = "default"


SetName = Literal[
    "driver_autocommit",
    "driver_isolation_level",
    "driver_read_only",
    "deferrable",
    "prepare_threshold",
    "cursor_factory",
    "row_factory",
    "type_loader",
    "notice_handler",
    "notify_handler",
    "encoding",
    "unread_notifications",
    "force_debug_cursor",
    "execute_wrappers",
    "run_on_commit",
    "needs_rollback",
    "savepoint_ids",
]


class Set(_Step):
    """Change something that is not in the session: on the driver's connection object, or on Django's wrapper.

    `encoding`: by the driver's own call, where it has one. `unread_notifications`: one has come, and is not asked for.
    The last five are the wrapper's: `force_debug_cursor` is switched on, an execute wrapper is entered and not left,
    and in a block an `on_commit` hook is registered, `set_rollback(True)` called, or a savepoint begun and not ended.
    Skipped where the driver has no such thing.
    """

    actor: str
    what: SetName
    swallow: bool = False
    alias: str = "default"


class Autocommit(_Step):
    """`connection.set_autocommit(on)`."""

    actor: str
    on: bool = False
    alias: str = "default"


class Commit(_Step):
    """`connection.commit()`, for autocommit off."""

    actor: str
    alias: str = "default"


class Rollback(_Step):
    """`connection.rollback()`, for autocommit off."""

    actor: str
    alias: str = "default"


class Close(_Step):
    """`connection.close()` by hand."""

    actor: str
    alias: str = "default"


class Stop(_Step):
    """The actor's thread ends, with all that it holds; its later steps are skipped. `t0`, the main thread, stays."""

    actor: str


class Fork(_Step):
    """The actor's process forks. The child process is called `child`, its actor `<child>.t0` is a clone of this one.

    Inside a request the clone is inside it too, and inside the same atomic blocks.
    """

    actor: str
    child: str = "c0"


class Exit(_Step):
    """A forked child's process ends: by `os._exit`, a `normal` exit, or one after `connections.close_all()`.

    The subject's first process, which no actor has forked, stays; the step is skipped there.
    """

    actor: str
    how: Literal["os._exit", "normal", "close_all"] = "os._exit"


class Inject(_Step):
    """The nemesis applies a fault: to all sessions of the plan, or to those of one `alias`, which has its own line."""

    fault: FaultSpec
    alias: str = ""


class Await(_Step):
    """The nemesis waits until every fault that was applied has been seen to land."""


class Heal(_Step):
    """The nemesis ends every fault; what is not healed in the plan is healed before the liveness phase."""


class Elapse(_Step):
    """So many seconds pass by the clocks of the subject's processes, all at once: nobody waits for them.

    Nothing happens meanwhile: a thread of the variant that sleeps sleeps on, and the server's time does not pass.
    """

    seconds: float


ActorStep = (
    Begin
    | End
    | Finish
    | Enter
    | Leave
    | Write
    | Read
    | Fail
    | Sql
    | Look
    | Use
    | Set
    | Autocommit
    | Commit
    | Rollback
    | Close
    | Stop
    | Fork
    | Exit
)
NemesisStep = Inject | Await | Heal | Elapse
Step = ActorStep | NemesisStep


class Plan(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="version", tag=VERSION
):
    """What shall happen to which variant.

    `bound` is B, the longest that one call may take, in seconds; a step that takes longer is given up and the
    subject is killed. `init` are statements that a connection_created receiver of the project executes on each new
    session. `lifecycles` names those of actors whose units of work are not what `lifecycle()` takes them to be.
    `promise` and `moment` say what a directed plan was written for; `expect` what it is known
    to show, promise to verdict. `seed` is the number it was drawn from.
    """

    variant: Variant
    steps: tuple[Step, ...]
    title: str = ""
    promise: str = ""
    moment: str = ""
    source: str = "hand"
    seed: int = 0
    bound: float = 10.0
    init: tuple[str, ...] = ()
    lifecycles: dict[str, Lifecycle] = field(default_factory=dict)
    expect: dict[str, str] = field(default_factory=dict)

    def actors(self) -> tuple[str, ...]:
        """The actors in order of appearance, the nemesis not among them."""
        return tuple(dict.fromkeys(step.actor for step in self.steps if not isinstance(step, NemesisStep)))

    def lifecycle(self, actor: str) -> Lifecycle:
        """What the actor's units of work are: what the plan says, else what it shows.

        An actor that begins or ends some makes requests, one that does neither is a command (`t0`, the main thread) or
        a thread of an executor. The actor of a forked child is what the actor that forked it is.
        """
        if actor in self.lifecycles:
            return self.lifecycles[actor]
        for step in self.steps:
            if isinstance(step, Fork) and actor == f"{step.child}.t0" and actor != step.actor:
                return self.lifecycle(step.actor)
        own = [step for step in self.steps if not isinstance(step, NemesisStep) and step.actor == actor]
        if not own or any(isinstance(step, Begin | End) for step in own):
            return "request"
        return "command" if actor == "t0" else "thread"

    def tells(self, step: ActorStep) -> Tells:
        """What Django is told by the step: at the ends of a unit of work."""
        if isinstance(step, Finish):
            return "request_finished"
        if isinstance(step, Begin | End):
            return TELLS[self.lifecycle(step.actor)][isinstance(step, End)]
        return ""

    def makes_databases(self) -> bool:
        """Whether it makes a test database, for which the server waits until each of its sessions has answered."""
        return any(isinstance(step, Use) and step.how in TEST_DATABASE for step in self.steps)

    def faults(self) -> tuple[FaultSpec, ...]:
        """The faults in the order in which they are applied."""
        return tuple(step.fault for step in self.steps if isinstance(step, Inject))
