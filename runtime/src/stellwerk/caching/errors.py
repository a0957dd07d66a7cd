"""What can go wrong with a cache. A value that is merely not there is no error."""


class CacheError(Exception):
    """Base of the errors here; each message is one sentence that says what to do."""


class UnknownLayerError(CacheError):
    """No layer of that name is declared in the settings."""


class KeyFieldError(CacheError):
    """A field of a key is missing, too many, or of a type that has no one spelling."""


class DeclarationError(CacheError):
    """The declared caches contradict themselves or each other."""


class UnsupportedValueError(CacheError):
    """A value, or an input of a calculation, is of a type that would not come back as it was."""


class UnreadableError(CacheError):
    """Stored bytes are not a value of this layer: truncated, altered, foreign, or of another key.

    `reason` is a word for the statistics.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"The stored bytes are not a value of this layer: {reason}.")
        self.reason = reason


class RedisAwayError(CacheError):
    """Redis cannot be used now. The cache answers from the loaders until it is back."""


class RedisRefusedError(RedisAwayError):
    """Redis answered a command with an error; for the callers of a cache it is as if away."""


class JournalError(CacheError):
    """The journal of pending writes cannot be used."""


class JournalInUseError(JournalError):
    """Another process has the journal open."""
