"""Measurements, each beside the bar it is held to. They judge nothing: noisy machines would."""
