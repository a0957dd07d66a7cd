"""When the number of a service's instances changes: policy, forecasts, simulation."""
