"""Charts as SVG, without scripts, and the style they need."""
