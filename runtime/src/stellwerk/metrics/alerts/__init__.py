"""Alerts: what is judged for how long, what people are told of it, and what they silenced."""
