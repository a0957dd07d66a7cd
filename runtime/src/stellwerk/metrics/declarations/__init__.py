"""Every metric, declared once: a module per source. All else about metrics derives from these."""
