"""Zabbix: a host's values for its trapper, and the template that takes them."""
