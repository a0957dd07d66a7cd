"""A rehearsal: any inventory, booted in the lab under its own addresses, deployed, and broken.

It is a dress rehearsal of production: nothing in it can reach the real hosts.
"""
