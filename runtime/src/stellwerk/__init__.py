"""Stellwerk: a handful of plain Debian hosts as a platform for Python services."""
