"""Environments, in upstream's interface."""
