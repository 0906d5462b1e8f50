"""What the dashboard reads: numbers that are kept, so that no page counts millions. It never writes."""
