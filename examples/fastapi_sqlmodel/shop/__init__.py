"""A small shop: people sign up, log in and order products."""
