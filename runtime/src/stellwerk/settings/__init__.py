"""The typed settings of everything, shared by the deploys and by the daemons on the hosts."""

from stellwerk.settings.errors import SettingsError
from stellwerk.settings.root import Settings

__all__ = ["Settings", "SettingsError"]
