"""What holds for every test: no claim is about time, so property tests have no deadline."""

from hypothesis import settings

settings.register_profile("stellwerk", deadline=None)
settings.load_profile("stellwerk")
