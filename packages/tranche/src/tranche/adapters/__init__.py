"""The world, one module a technology; only `tranche.wiring` knows them."""
