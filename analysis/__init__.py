"""From journals to evidence."""
