"""The event store in the product's database: its schema, indexes and views, and how services append
and read.

The server it is on is the business of `stellwerk.database`.
"""
