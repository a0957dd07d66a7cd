"""The daemon stellwerk-monitor: looks at its host again and again, keeps and tells what it finds."""
