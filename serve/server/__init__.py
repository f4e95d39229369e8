"""The HTTP server: requests in, answers and their sound out."""
