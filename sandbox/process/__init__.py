"""The backend without Docker: warm interpreters that fork into namespaces. `backend.ProcessSandbox` is its one name."""
