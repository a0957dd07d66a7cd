"""pyinfra's own settings for every run of Stellwerk."""

from pyinfra.connectors.ssh import connector_data_meta
from pyinfra.context import config

from deploys.engine import call_stack, invocation
from deploys.engine.transport import leave_errors_to_pyinfra, prompt_transport

connector_data_meta["ssh_paramiko_connect_kwargs"].default = {"transport_factory": prompt_transport}

call_stack.read_no_source()
leave_errors_to_pyinfra()

# The first host that fails ends the run: the others are left whole.
config.FAIL_PERCENT = 0
config.CONNECT_TIMEOUT = 10

# Wrong settings end the run here, before any host is contacted.
invocation.load()
