"""What training and warm starts cost: seconds, memory and FLOPs."""
