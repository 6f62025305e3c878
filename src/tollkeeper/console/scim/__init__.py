"""SCIM 2.0 (RFC 7643, 7644): people and teams kept by an identity provider."""
