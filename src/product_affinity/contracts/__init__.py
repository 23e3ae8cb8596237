"""Contracts: what a source table must satisfy, and the checked facts that come of it."""
