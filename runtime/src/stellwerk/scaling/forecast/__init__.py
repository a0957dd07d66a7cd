"""Forecasts of load from its own past, with a measured confidence. numpy is all they need."""
