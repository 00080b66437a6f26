"""What is done to pictures before they are mixed."""
