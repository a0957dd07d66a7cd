"""What each component wants on a host, as functions of settings and facts, without effects."""
