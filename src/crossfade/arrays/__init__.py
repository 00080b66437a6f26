"""Executing a plan: the same arithmetic on the arrays of every framework."""
