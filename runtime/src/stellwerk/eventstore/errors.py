"""What can go wrong with the event store, each as one sentence."""


class EventStoreError(Exception):
    """The event store cannot do what is asked."""


class ConflictError(EventStoreError):
    """The aggregate is not at the version that was expected: read it again, decide, append."""
