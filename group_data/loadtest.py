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
}
