"""The agent of a host: brings its units and its balancer to what the ledger says."""
