"""What the two repaired backends share: a session that outlives its request, and everything that makes that safe.

`limit` reads the settings, `wire` hides the driver, `session` is one kept session, `holder` says who may have it,
`watchdog` bounds every call, `setup` remembers how a session was initialised, `cursor` and `wrapper` are Django's side.
Django and a driver alone; nothing of the lab.
"""
