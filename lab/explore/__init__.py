"""Plans that no person wrote: everything there is of one kind, random plans, and plans made smaller.

Explorations, one file each, on one engine:
    cuts             one request, cut at every point         points      where these points are
    interleavings    a few requests, in every order          orders      the arithmetic of orders
    engine           all that explorations share: classes, runs on threads, examples, resumption
    ledger           progress that survives a stop           threads     the main thread's wait for other threads
    timeouts/        what notices which loss: measured, not judged, so not on the engine

Search:
    search           run random plans, judge and shrink them
    strategies       how they are drawn, by Hypothesis       weave       how programs become one order of steps
    profiles         how much is searched

Reduction:
    shrink           any plan that breaks a promise, made small
    reductions       the smaller plans that are tried        simplicity  which of two plans is simpler
"""
