"""All in reach of a model, recorded and put back."""
