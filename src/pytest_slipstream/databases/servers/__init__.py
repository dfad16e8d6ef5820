"""How database servers are found, started, shared and stopped."""
