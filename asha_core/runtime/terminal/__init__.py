"""What a search shows: the live view, plain lines, notices, and how every command ends."""
