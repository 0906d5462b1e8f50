"""The dashboard: pages that read, by FastAPI and Jinja2; whoever serves them says who is asking."""
