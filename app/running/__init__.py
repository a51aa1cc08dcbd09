"""What `move37 exec` is made of: `request` (what was asked), `inputs` (what travels in), `packages` (wheels that travel
along), `printer` (live, harmless output), `results` (what comes back, and what is said about the rest)."""
