"""Caches, and when their entries are dropped and loaded."""

caching = {
    "caches": {
        "portfolio": {
            "key_pattern": "portfolio:{portfolio_id}:{data_type}",
            "ttl_seconds": 300,
            "strategy": "write-through",
            "compressed": True,
            "layers": {
                "summary": {
                    "ttl_seconds": 60,
                    "memory": "50MB",
                    "key_pattern": "portfolio:{id}:summary",
                },
                "details": {
                    "ttl_seconds": 300,
                    "memory": "200MB",
                    "key_pattern": "portfolio:{id}:details",
                },
                "history": {
                    "ttl_seconds": 3600,
                    "memory": "500MB",
                    "key_pattern": "portfolio:{id}:history:{period}",
                },
            },
        },
        "market_data": {
            "key_pattern": "market:{symbol}:{data_type}:{timeframe}",
            "ttl_seconds": 30,
            "strategy": "write-behind",
            "refresh_ahead_percent": 80,
            "layers": {
                "real_time_prices": {
                    "ttl_seconds": 5,
                    "memory": "100MB",
                    "key_pattern": "market:{symbol}:price",
                },
                "intraday": {
                    "ttl_seconds": 300,
                    "memory": "300MB",
                    "key_pattern": "market:{symbol}:intraday:{interval}",
                },
                "historical": {
                    "ttl_seconds": 86400,
                    "memory": "1GB",
                    "key_pattern": "market:{symbol}:history:{period}",
                },
            },
        },
        "session": {
            "key_pattern": "session:{user_id}:{session_id}",
            "ttl_seconds": 1800,
            "strategy": "write-through",
            "encrypted": True,
            "layers": {
                "preferences": {"ttl_seconds": 3600, "key_pattern": "user:{id}:prefs"},
                "ui_state": {"ttl_seconds": 1800, "key_pattern": "user:{id}:ui_state"},
                "recent_actions": {"ttl_seconds": 300, "key_pattern": "user:{id}:actions"},
            },
        },
        "calculation": {
            "key_pattern": "calc:{calculation_type}:{input_hash}",
            "layer_field": "calculation_type",
            "ttl_seconds": 3600,
            "strategy": "lazy-loading",
            "layers": {
                "risk_assessment": {"ttl_seconds": 1800, "memory": "200MB"},
                "performance_analytics": {"ttl_seconds": 3600, "memory": "300MB"},
                "tax_calculations": {"ttl_seconds": 86400, "memory": "100MB"},
            },
        },
        "api_response": {
            "key_pattern": "api:{service}:{endpoint}:{params_hash}",
            "layer_field": "endpoint",
            "ttl_seconds": 60,
            "strategy": "cache-aside",
            "layers": {
                "/api/portfolios": {"ttl_seconds": 300, "vary_by": ["user_id", "date_range"]},
                "/api/assets": {"ttl_seconds": 600, "vary_by": ["symbol", "data_type"]},
                "/api/market-data": {"ttl_seconds": 30, "vary_by": ["symbol", "timeframe"]},
            },
        },
    },
    "invalidation": {
        "events": {
            "portfolio_updated": ["portfolio:{portfolio_id}:*", "user:{user_id}:portfolios"],
            "market_data_updated": ["market:{symbol}:*", "portfolio:*:summary"],
            "user_preferences_changed": ["user:{user_id}:*"],
        },
        "schedules": {
            "end_of_trading": {
                "cron": "0 22 * * 1-5",
                "timezone": "Europe/Berlin",
                "patterns": ["market:*:intraday:*"],
            },
            "weekly": {
                "cron": "0 2 * * 0",
                "timezone": "Europe/Berlin",
                "patterns": ["calc:*", "api:*"],
            },
        },
    },
    "warming": {
        "at_start": {"symbols": ["AAPL", "MSFT", "GOOGL", "AMZN", "TSLA"]},
        "predictive": {
            "schedules": {
                "before_market_open": {
                    "days": ["mon", "tue", "wed", "thu", "fri"],
                    "at": "08:30",
                    "timezone": "Europe/Berlin",
                    "patterns": ["market:*:price", "portfolio:*:summary"],
                },
            },
        },
    },
}
