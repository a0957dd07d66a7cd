"""PostgreSQL: tuning, configuration texts, roles and plans of SQL, all as pure functions.

What asks or changes a server is in modules that say so.
"""
