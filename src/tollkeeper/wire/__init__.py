"""What the bytes mean. Pure: bytes in, domain types out; one file per API family."""
