"""PostgreSQL as pure functions: tuning, configuration texts, roles and plans of SQL.

Nothing here opens a connection or touches a file.
"""
