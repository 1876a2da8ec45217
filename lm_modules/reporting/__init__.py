"""The report card: what a finished run shows, as one page to send around."""
