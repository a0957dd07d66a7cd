"""What HTML pages have in common: their frame and their style. Nothing here knows what is shown."""
