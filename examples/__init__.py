"""Applications, each tested twice: as teams write it, and with slipstream."""
