"""What a host can be asked by any daemon: systemd, control groups, files that grow, local HTTP."""
