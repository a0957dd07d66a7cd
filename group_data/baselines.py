"""The performance baselines: what is aimed at, and what was measured on the day they are dated."""

baselines = {
    "dated": "2024-01-15",
    "measures": {
        "aktienanalyse-core": {
            "portfolio_calculation": {
                "unit": "ms",
                "p50": {"target": 150, "current": 120},
                "p95": {"target": 500, "current": 450},
                "p99": {"target": 2000, "current": 1800},
            },
            "risk_assessment": {
                "unit": "ms",
                "p50": {"target": 100, "current": 85},
                "p95": {"target": 300, "current": 280},
                "p99": {"target": 1000, "current": 950},
            },
            "GET /api/portfolios": {"unit": "ms", "p95": {"target": 200, "current": 180}},
            "GET /api/assets": {"unit": "ms", "p95": {"target": 100, "current": 85}},
            "GET /api/trades": {"unit": "ms", "p95": {"target": 300, "current": 250}},
            "requests": {
                "unit": "requests/s",
                "better": "higher",
                "sustained": {"target": 500, "current": 420},
                "peak": {"target": 1000, "current": 850},
            },
            "concurrent_users": {
                "unit": "users",
                "better": "higher",
                "value": {"target": 100, "current": 75},
            },
            "cpu": {
                "unit": "percent",
                "average": {"target": 40, "current": 35},
                "peak": {"target": 80, "current": 70},
            },
            "memory": {
                "unit": "MB",
                "average": {"target": 512, "current": 450},
                "peak": {"target": 1024, "current": 900},
            },
            "database_connections": {
                "unit": "connections",
                "average": {"target": 10, "current": 8},
                "peak": {"target": 25, "current": 20},
            },
        },
        "aktienanalyse-broker": {
            "order_execution": {
                "unit": "ms",
                "p50": {"target": 1000, "current": 900},
                "p95": {"target": 3000, "current": 2800},
                "p99": {"target": 8000, "current": 7500},
            },
            "market_data_fetch": {
                "unit": "ms",
                "p50": {"target": 500, "current": 450},
                "p95": {"target": 1500, "current": 1400},
                "p99": {"target": 4000, "current": 3800},
            },
            "api_calls": {
                "unit": "calls/min",
                "better": "higher",
                "sustained": {"target": 300, "current": 280},
                "peak": {"target": 600, "current": 550},
            },
            "orders": {
                "unit": "orders/h",
                "better": "higher",
                "value": {"target": 1000, "current": 850},
            },
            "success_rate": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 98.5, "current": 97.8},
            },
            "retry_success_rate": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 95.0, "current": 94.2},
            },
        },
        "aktienanalyse-events": {
            "processing_latency": {
                "unit": "ms",
                "p50": {"target": 10, "current": 8},
                "p95": {"target": 50, "current": 45},
                "p99": {"target": 200, "current": 180},
            },
            "events": {
                "unit": "events/s",
                "better": "higher",
                "sustained": {"target": 1000, "current": 850},
                "peak": {"target": 5000, "current": 4200},
            },
            "message_size": {
                "unit": "B",
                "average": {"target": 512, "current": 480},
                "maximum": {"target": 1024, "current": 950},
            },
            "queue_lag": {
                "unit": "ms",
                "average": {"target": 100, "current": 85},
                "peak": {"target": 1000, "current": 900},
            },
        },
        "database": {
            "portfolio_queries": {"unit": "ms", "p95": {"target": 50, "current": 45}},
            "event_store_reads": {"unit": "ms", "p95": {"target": 25, "current": 22}},
            "connections": {"unit": "connections", "average": {"target": 15, "current": 12}},
            "materialized_view_refresh": {
                "unit": "ms",
                "value": {"target": 30000, "current": 28000},
            },
            "index_hit_ratio": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 99.0, "current": 98.5},
            },
        },
        "redis": {
            "get": {"unit": "ms", "p95": {"target": 1, "current": 0.8}},
            "set": {"unit": "ms", "p95": {"target": 2, "current": 1.8}},
            "hit_ratio portfolio_data": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 85, "current": 82},
            },
            "hit_ratio market_data": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 95, "current": 93},
            },
            "hit_ratio user_sessions": {
                "unit": "percent",
                "better": "higher",
                "value": {"target": 98, "current": 97},
            },
            "memory_use": {"unit": "percent", "value": {"target": 70, "current": 65}},
            "evictions": {"unit": "evictions/h", "value": {"target": 100, "current": 85}},
        },
    },
    "growth": {"database": {"now": "2.5GB", "in_6_months": "15GB", "in_12_months": "30GB"}},
}
