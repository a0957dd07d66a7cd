"""The hosts in `monitors`, where it is asked for: Prometheus and Alertmanager."""

from deploys.components import prometheus
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()

install_configs(
    configs=prometheus.configs(host.run.cluster, host.declared, host.alertmanager),
    name="Prometheus",
)
