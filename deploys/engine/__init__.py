"""How a deploy works: a run's settings and facts, the resources it wants, and the operations."""
