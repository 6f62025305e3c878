"""The pages: for each a handler, and the frozen dataclass that its template may use."""
