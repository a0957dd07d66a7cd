"""Why the ledger could not be read or written, as errors whose message is one sentence."""


class LedgerError(Exception):
    """The ledger did not do what was asked."""


class LedgerAwayError(LedgerError):
    """PostgreSQL does not answer, or not as a ledger of this release; says which server and why."""


class LedgerBusyError(LedgerAwayError):
    """A lock or an answer took too long. The connection is fine: ask again later."""


class LedgerRefusedError(LedgerError):
    """The ledger answered, but what was asked makes no sense there; asking again does not help."""
