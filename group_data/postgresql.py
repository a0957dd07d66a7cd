"""PostgreSQL server."""

postgresql = {
    "database": "aktienanalyse",
}
