"""What training calls to tell how it goes; it is shared with all other long work."""

from lm_modules.progress import Report, keep_going

__all__ = ["Report", "keep_going"]
