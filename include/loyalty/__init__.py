"""Loyalty points, taken away correctly: definitions, journeys and the ledger they write to."""
