"""The host in `databases`: the event store's schema, indexes and views."""

from deploys.components import event_store
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()

install_configs(configs=event_store.configs(host.declared), name="Event store")
