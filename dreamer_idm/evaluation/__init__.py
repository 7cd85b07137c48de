"""What is done with a trained agent."""
