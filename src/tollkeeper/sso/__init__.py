"""OpenID Connect as a client: discovery, signing keys, ID tokens, and who they say somebody is.

Authlib has the words of the protocol and joserfc the signatures. Which connections are made,
which algorithms are good, and what counts as proof is decided here.
"""
