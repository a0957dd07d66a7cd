"""What was measured, for some days, in little space: packed chunks in SQLite files, one per day."""
