"""What runs on a host as root during a deploy: reads its state, installs files, checks health.

Standard library only: it is put on hosts that hold nothing but Debian's python3.
"""
