"""Speed beside peers: ``python -m benchmarks [DATA]`` prints one table."""
