"""What any method builds on: upstream's agent with hooks, and the hooks."""
