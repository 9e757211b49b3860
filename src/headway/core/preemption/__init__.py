"""Making room for a better class: who has to go, and who gets the place."""
