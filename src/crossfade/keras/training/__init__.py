"""What stands beside `model.fit`: callbacks, a metric, the record of a run, and the fair comparison."""
