"""The machine that trains: how fast it could be, how busy it is, what it consumes."""
