"""Load tests: open loop, judged against the baselines (specification 1.4)."""
