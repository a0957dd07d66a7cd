"""Seeing before doing: what a run would change (`plan`), and what is not as declared (`drift`).

Both prepare the same operations as a run and carry none out; nothing is written on any host.
"""
