"""The bundled sample service: what every service's unit runs until a user's own program takes its
place.

Portfolios, assets and trades over HTTP, from PostgreSQL through Redis. Nothing else in the runtime
builds on it.
"""
