"""Messages: templates with inserts, the letters made of them, and what hands them over. It knows no journey."""
