"""A shop that sells nothing: an example of a program that Stellwerk runs."""
