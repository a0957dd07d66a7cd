"""The daemon stellwerk-monitor: measures its host, keeps and tells what it finds."""
