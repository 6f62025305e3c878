"""Data: the vocabulary that tokens are estimated with (see ``services.vocabulary``)."""
