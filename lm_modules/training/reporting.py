"""What training calls to tell how it goes; it is shared with all other long work."""

from lm_modules.progress import TOTAL, Report, Values, keep_going

__all__ = ["TOTAL", "Report", "Values", "keep_going"]
