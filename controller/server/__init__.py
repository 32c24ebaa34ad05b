"""HTTPS from the API server, and what it rests on: certificates and files that change while it runs."""
