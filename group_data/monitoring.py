"""Monitoring, and who is told of alerts and scaling actions."""

monitoring = {
    "name": "aktienanalyse-monitoring",
    "receivers": {
        "email": {"to": ["ops@aktienanalyse.local"]},
    },
}
