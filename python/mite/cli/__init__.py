"""What the commands are made of, as far as others use it. The commands themselves are in C."""
