"""Prometheus and Grafana: names, alert rules, scrape configuration and dashboard. All generated."""
