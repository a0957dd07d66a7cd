"""Load tests."""

loadtest = {
    "scenarios": {
        "normal_load": {
            "duration_seconds": 10 * 60,
            "ramp_up_seconds": 2 * 60,
            "virtual_users": 50,
            "requests_per_second": 100,
        },
        "peak_load": {
            "duration_seconds": 5 * 60,
            "ramp_up_seconds": 60,
            "virtual_users": 200,
            "requests_per_second": 500,
        },
        "stress_test": {
            "duration_seconds": 15 * 60,
            "ramp_up_seconds": 3 * 60,
            "virtual_users": 500,
            "requests_per_second": 1000,
        },
        "endurance_test": {
            "duration_seconds": 2 * 60 * 60,
            "ramp_up_seconds": 5 * 60,
            "virtual_users": 100,
            "requests_per_second": 200,
        },
    },
    # The shipped services answer from the test data, without calculations of their own. So that the
    # operations of the baselines are judged at all, each is measured by the request nearest to it.
    "mixes": {
        "api": {
            "portfolios": {
                "service": "aktienanalyse-core",
                "path": "/api/portfolios?user_id={user_id}",
                "weight": 3,
                "counts_for": ["portfolio_calculation", "requests"],
            },
            "assets": {
                "service": "aktienanalyse-core",
                "path": "/api/assets?symbol={symbol}",
                "weight": 5,
                "counts_for": ["requests"],
            },
            "trades": {
                "service": "aktienanalyse-core",
                "path": "/api/trades?portfolio_id={portfolio_id}",
                "weight": 2,
                "counts_for": ["risk_assessment", "requests"],
            },
        },
        # The same requests, for the URLs of the broker and the events service.
        "broker": {
            "market_data": {
                "service": "aktienanalyse-broker",
                "path": "/api/assets?symbol={symbol}",
                "weight": 4,
                "counts_for": ["market_data_fetch", "api_calls", "success_rate"],
            },
            "orders": {
                "service": "aktienanalyse-broker",
                "path": "/api/trades?portfolio_id={portfolio_id}",
                "counts_for": ["order_execution", "orders", "api_calls", "success_rate"],
            },
        },
        "events": {
            "processing": {
                "service": "aktienanalyse-events",
                "path": "/api/trades?portfolio_id={portfolio_id}&limit=10",
                "counts_for": ["processing_latency", "events"],
            },
        },
    },
    "parameters": {
        "user_id": {"test_data": "user_ids"},
        "portfolio_id": {"test_data": "portfolio_ids"},
        "symbol": {"test_data": "symbols"},
    },
}
