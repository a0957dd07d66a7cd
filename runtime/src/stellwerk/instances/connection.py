"""A connection to the ledger's PostgreSQL on which nothing ever waits long. What is asked there is
in `store`.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from stellwerk.instances.configuration import LedgerAddress
from stellwerk.instances.errors import LedgerAwayError, LedgerBusyError, LedgerRefusedError

ANSWER_SECONDS: Final = 8.0
"""After that an answer does not come any more: longer than the roles' lock_timeout (5 s)."""

_CONNECT_SECONDS: Final = 5
_PREFIX: Final = re.compile(r"^.* failed: (FATAL: +)?")  # of libpq's own sentences

Rows: TypeAlias = list[tuple[Any, ...]]
Ask: TypeAlias = Callable[[str, Mapping[str, Any] | None], Awaitable[Rows]]

_Raw: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]


class Connection:
    """One connection; who asks waits for its turn. Made by `open_connection`.

    Once lost it stays lost and `on_lost` has been told why. A call that is cancelled costs the
    connection, as its answer is still to come.
    """

    def __init__(self, raw: _Raw, name: str, on_lost: Callable[[str], None]) -> None:
        self.raw: Final = raw
        self.name: Final = name
        self._on_lost = on_lost
        self._turn = asyncio.Lock()
        self._lost = ""  # the reason why

    async def ask(self, sql: str, values: Mapping[str, Any] | None = None) -> Rows:
        """The rows of one statement, which is a transaction of its own. Raises LedgerError."""
        async with self._turn:
            return await self._ask(sql, values)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Ask]:
        """A transaction in which the given function asks: committed at the end, rolled back on an
        exception. Nothing else may be asked of this connection from within. Raises LedgerError.
        """
        async with self._turn:
            await self._ask("BEGIN")
            try:
                yield self._ask
                if self.raw.info.transaction_status is not TransactionStatus.INTRANS:
                    # PostgreSQL would answer a COMMIT with a silent rollback.
                    raise LedgerRefusedError(
                        f"{self.name}: nothing was written, as a statement before had failed."
                    )
                await self._ask("COMMIT")
            except BaseException:
                await self._roll_back()
                raise

    def break_off(self, reason: str) -> None:
        """Give the connection up at once: what waits for an answer gets LedgerAwayError."""
        if self._lost:
            return
        self._lost = reason
        # Cancelling psycopg's wait would ask the server to cancel and wait for a reply. A socket
        # that is shut down ends it right away; psycopg has closed it where the server did.
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.fromfd(self.raw.fileno(), -1, -1) as twin,
        ):
            twin.shutdown(socket.SHUT_RDWR)
        self._on_lost(reason)

    async def close(self) -> None:
        """End the connection, whatever it is doing."""
        self.break_off("the connection was closed")
        async with self._turn:
            await self.raw.close()

    def away(self, reason: str) -> LedgerAwayError:
        """Break the connection off; the error to raise, with the reason why it was lost first."""
        self.break_off(reason)
        return LedgerAwayError(f"{self.name} is away: {self._lost}.")

    async def _roll_back(self) -> None:
        if self.raw.closed or self.raw.info.transaction_status is TransactionStatus.IDLE:
            return
        with contextlib.suppress(LedgerAwayError):
            await self._ask("ROLLBACK")

    async def _ask(self, sql: str, values: Mapping[str, Any] | None = None) -> Rows:
        if self._lost or self.raw.closed:
            raise self.away("the connection was lost")
        try:
            return await self._in_time(self._rows(sql, values))
        except TimeoutError:
            raise self.away("no answer") from None
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected) as error:
            raise LedgerBusyError(f"{self.name} is busy: {sentence(error)}.") from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise self.away(sentence(error)) from None
        except psycopg.ProgrammingError as error:  # no such table, no right to do that
            raise self.away(
                f"it is not as this release needs it ({sentence(error)}); run the deploy"
            ) from None
        except psycopg.Error as error:
            raise LedgerRefusedError(f"{self.name} refuses: {sentence(error)}.") from None

    async def _rows(self, sql: str, values: Mapping[str, Any] | None) -> Rows:
        cursor = await self.raw.execute(sql, values)
        return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []

    async def _in_time(self, call: Any) -> Rows:
        task: asyncio.Task[Rows] = asyncio.ensure_future(call)
        done: set[asyncio.Task[Rows]] = set()
        try:
            done, _ = await asyncio.wait({task}, timeout=ANSWER_SECONDS)
        finally:
            if not done:
                self.break_off(f"no answer within {ANSWER_SECONDS:g} s")
                await asyncio.wait({task})
                task.exception()  # its words would only be those of the shutdown
        if not done:
            raise TimeoutError
        return task.result()


async def open_connection(
    address: LedgerAddress, password: str | None, application: str, on_lost: Callable[[str], None]
) -> Connection:
    """Connect as `address` says. Raises LedgerAwayError."""
    name = f"The ledger in PostgreSQL at {address.host}:{address.port}"
    try:
        raw = await psycopg.AsyncConnection.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=address.user,
            password=password,
            # TLS as the settings say. Unverified TLS, libpq's default, would cost an agent 5 MB.
            sslmode="verify-full" if address.tls_authority else "disable",
            sslrootcert=address.tls_authority,
            connect_timeout=_CONNECT_SECONDS,
            application_name=application,
            options="-c timezone=UTC",
            autocommit=True,
            # The kernel, too, notices a host that went without a word, also between two questions.
            keepalives_idle=4,
            keepalives_interval=2,
            keepalives_count=2,
            tcp_user_timeout=int(1000 * ANSWER_SECONDS),
        )
    except (psycopg.Error, OSError) as error:
        raise LedgerAwayError(f"{name} is away: {sentence(error)}.") from None
    return Connection(raw, name, on_lost)


def sentence(error: Exception) -> str:
    """What the server or the library says, without where it was said, hints and the stop."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    first = (said or str(error) or type(error).__name__).strip().splitlines()[0]
    return _PREFIX.sub("", first).rstrip(".")
