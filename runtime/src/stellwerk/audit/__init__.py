"""What runs of the deploys changed on hosts: read back from what each host wrote down.

It is written by the deploys' tools on the hosts (deploys/host/record).
"""
