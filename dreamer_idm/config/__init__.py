"""The config of a run: defaults, presets, command line, rules."""
