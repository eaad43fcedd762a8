"""Training the paper's networks, so that a killed run goes on as if nothing had happened."""
