"""What history teaches about the future: pure functions of what was measured."""
