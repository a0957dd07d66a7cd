"""Event store and views."""

database = {
    "views": {
        "mv_portfolio_performance_summary": {"refresh_interval_seconds": 300},
    },
}
