"""What is true: rules and types, pure and synchronous, standard library only."""
