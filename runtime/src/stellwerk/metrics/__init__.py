"""The monitor's metrics: what is measured, how it is kept, judged, reported and exposed."""
