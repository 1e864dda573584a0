"""Certify classifiers by randomized smoothing, and recertify changed ones from cached votes."""
