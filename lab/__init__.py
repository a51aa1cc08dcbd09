"""The science: tasks, gates, probes, training, statistics, archive. Imports nothing: part of it runs in the sandbox."""
