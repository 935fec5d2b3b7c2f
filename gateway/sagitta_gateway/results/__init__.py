"""Results: Arrow record batches from the engine to the format that the client asked for, without rows in Python."""
