"""The one error the lab raises."""


class LabError(Exception):
    """Something a person can act on: its text says where it went wrong and what to do."""
