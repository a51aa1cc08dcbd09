"""The move37 command, the terminal, reports: where a person meets the rest."""
