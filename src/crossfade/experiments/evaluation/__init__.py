"""What a trained run is worth: which pictures judge it, metrics, calibration, robustness, and arms side by side."""
