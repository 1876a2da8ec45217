"""One verb a file: a retryable piece of work that fetches its inputs, calls lm_modules and files the result."""
