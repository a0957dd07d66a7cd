"""The lab: one systemd-nspawn machine per inventory host, in a network namespace of its own.

`lab.Lab` is the entry point for tests, `python -m tests.lab` the one for people.
"""
