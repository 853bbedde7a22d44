"""What `mite prometheus_exporter` shows."""
