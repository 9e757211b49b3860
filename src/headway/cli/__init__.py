"""The command line: thin, quick to start, one file per group of commands. `main` puts them together."""
