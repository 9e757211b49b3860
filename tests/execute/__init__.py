"""Tests of the room where tasks run."""
