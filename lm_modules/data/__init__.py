"""From raw text to packed tokens and labelled sets. Only `batches` needs torch."""
