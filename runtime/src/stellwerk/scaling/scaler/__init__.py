"""The daemon that judges services and writes how many instances each is to have."""
