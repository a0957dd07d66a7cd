"""The services. One without a `command` runs the bundled sample service.

How a change reaches the instances of one is its `rollout`: {"max_unavailable": 1,
"canary_seconds": 15, "canary_error_percent": 5, "progress_timeout_seconds": 600}.
"""

services = {
    "aktienanalyse-core": {
        "port_base": 8100,
        "min_instances": 2,
        "max_instances": 8,
        "memory": "512MB",
        "balancer": "haproxy",
        "listen_port": 9100,
        "backend_name": "aktienanalyse_core_backend",
    },
    "aktienanalyse-broker": {
        "port_base": 8200,
        "min_instances": 1,
        "max_instances": 4,
        "memory": "256MB",
        "balancer": "haproxy",
        "listen_port": 9200,
        "backend_name": "aktienanalyse_broker_backend",
    },
    "aktienanalyse-events": {
        "port_base": 8300,
        "min_instances": 2,
        "max_instances": 6,
        "memory": "384MB",
        "balancer": "haproxy",
        "listen_port": 9300,
        "backend_name": "aktienanalyse_events_backend",
    },
    "aktienanalyse-frontend": {
        "port_base": 8400,
        "min_instances": 2,
        "max_instances": 6,
        "memory": "256MB",
        "balancer": "nginx",
        "backend_name": "aktienanalyse_frontend_upstream",
    },
}
