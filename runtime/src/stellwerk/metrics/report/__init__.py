"""Reports: what was measured over a period, beside thresholds, baselines and the period before."""
