"""Instances of services: the ledger of what is wanted, the agents that bring it about, releases."""
