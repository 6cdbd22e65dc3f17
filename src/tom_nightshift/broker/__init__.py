"""The database broker: Dramatiq's contract, kept by the ledger."""
