"""When instances are added and removed."""

_WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]

scaling = {
    "services": {
        "aktienanalyse-core": {
            "cpu_percent": {"up_above": 70, "down_below": 30},
            "memory_percent": {"up_above": 80, "down_below": 40},
            "cooldown_up_seconds": 300,
            "cooldown_down_seconds": 600,
            "rules": {
                "requests_per_second": {"up_above": 500},
                "response_time_ms": {"up_above": 2000},
                "error_rate": {"up_above": 5},
                "portfolio_calculation_queue_length": {"up_above": 100},
                "active_trading_sessions": {"up_above": 50},
            },
            "emergency_metrics": {"queue_backlog": ["portfolio_calculation_queue_length"]},
        },
        "aktienanalyse-broker": {
            "cpu_percent": {"up_above": 60, "down_below": 20},
            "memory_percent": {"up_above": 75, "down_below": 35},
            "cooldown_up_seconds": 600,
            "cooldown_down_seconds": 900,
            "rules": {
                "api_calls_per_minute": {"up_above": 400},
                "order_execution_time_ms": {"up_above": 5000},
                "api_error_rate": {"up_above": 10},
            },
            "emergency_metrics": {
                "error_rate_percent": ["api_error_rate"],
                "response_time_ms": ["order_execution_time_ms"],
            },
        },
        "aktienanalyse-events": {
            "cpu_percent": {"up_above": 65, "down_below": 25},
            "memory_percent": {"up_above": 70, "down_below": 30},
            "cooldown_up_seconds": 180,
            "cooldown_down_seconds": 600,
            "rules": {
                "events_per_second": {"up_above": 800},
                "queue_lag_ms": {"up_above": 1000},
                "message_processing_time_ms": {"up_above": 100},
            },
        },
        "aktienanalyse-frontend": {
            "cpu_percent": {"up_above": 60, "down_below": 20},
            "memory_percent": {"up_above": 70, "down_below": 30},
            "cooldown_up_seconds": 240,
            "cooldown_down_seconds": 480,
            "rules": {
                "concurrent_users": {"up_above": 80},
                "page_load_time_ms": {"up_above": 3000},
                "javascript_error_rate": {"up_above": 2},
            },
            "emergency_metrics": {
                "error_rate_percent": ["javascript_error_rate"],
                "response_time_ms": ["page_load_time_ms"],
            },
        },
    },
    "schedule": {
        "timezone": "Europe/Berlin",
        "windows": {
            "business_hours": {
                "days": _WEEKDAYS,
                "start": "08:00",
                "end": "18:00",
                "minimum_factor": 1.0,
            },
            "weekends": {
                "days": ["sat", "sun"],
                "start": "00:00",
                "end": "24:00",
                "minimum_factor": 0.3,
            },
        },
        "minimum_factor_otherwise": 0.5,
    },
    "predictive": {
        "timezone": "Europe/Berlin",
        "events": {
            "market_open": {
                "timezone": "Europe/Berlin",
                "days": _WEEKDAYS,
                "start": "09:00",
                "end": "09:30",
                "minimum_factor": 1.5,
                "in_history": True,
            },
            "earnings_season": {
                "timezone": "Europe/Berlin",
                "days": _WEEKDAYS,
                "seasons": [
                    {"first": "01-10", "last": "02-15"},
                    {"first": "04-10", "last": "05-15"},
                    {"first": "07-10", "last": "08-15"},
                    {"first": "10-10", "last": "11-15"},
                ],
                "minimum_factor": 1.25,
                # Weeks on end: without them forecasts would know nothing of the season they are in.
                "in_history": True,
            },
        },
    },
    "export": {
        "zabbix": {"template": "Aktienanalyse Auto Scaling"},
    },
}
