"""What the monitor looks at: a module per source, each answering with readings in bounded time."""
