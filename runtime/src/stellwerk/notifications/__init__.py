"""Telling people: messages, the ways they take, and the queue that waits for whoever is away.

What is worth telling is decided elsewhere.
"""
