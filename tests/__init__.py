"""Tests mirror the package; `builders` has what they share."""
