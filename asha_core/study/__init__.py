"""Studies: many paired searches, each a process of its own, from one YAML file."""
