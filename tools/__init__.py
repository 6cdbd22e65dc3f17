"""What `make` runs: standard library only, because it runs before anything is installed."""
