"""Training an agent."""
