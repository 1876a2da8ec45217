"""From raw text to packed tokens and labelled sets. Nothing here needs torch."""
