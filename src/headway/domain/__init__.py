"""The nouns: small frozen values that every other room speaks in. No behaviour beyond validation and arithmetic."""
