"""The catalogue of providers: base URLs, authentication, quirks. Data first."""
