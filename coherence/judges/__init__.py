"""Judges that ask a model: thin adapters over the SDKs of providers, each loaded only by who imports it."""
