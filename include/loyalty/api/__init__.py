"""The events API: what a shop, an app and a points engine say and ask, over HTTP."""
