"""What the two repaired backends share: a session that outlives its request, and everything that makes that safe.

`limit` reads the settings, `wire` hides the driver, `session` is one kept session, `holder` says which wrapper has it,
`watchdog` bounds every call, `setup` remembers how a session was initialised, `outside` says what may be replaced where
there is no request, `cursor` and `wrapper` are Django's side. The package imports Django and a driver, and nothing of
the lab.
"""
