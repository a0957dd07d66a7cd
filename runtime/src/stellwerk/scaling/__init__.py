"""When the number of a service's instances changes: policy and simulation."""
