"""Forecasts of load from its own past, with a measured confidence. Pure, and plain Python."""
