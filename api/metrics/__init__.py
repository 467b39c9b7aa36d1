"""Counters of the control plane, and their page for Prometheus."""
