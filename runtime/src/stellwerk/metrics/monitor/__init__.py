"""The daemon stellwerk-monitor: looks at its host again and again, keeps what it finds, tells it."""
