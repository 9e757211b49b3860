"""The deterministic heart: events in, decisions with their reasons out. No clock, no asyncio, no pydantic, no chance of its own."""
