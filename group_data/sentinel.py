"""Redis Sentinel."""

sentinel = {
    "master_name": "aktienanalyse-redis",
}
