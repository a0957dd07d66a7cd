"""The public door."""

nginx = {
    "locations": {
        "/": "aktienanalyse-frontend",
        "/api/": "aktienanalyse-core",
    },
}
