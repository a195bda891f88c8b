"""A store as a folder of plain pages: an index, and a page for each check, each stored case and each exploration.

shelf      what there is in a store, without its histories     page      each page's text
own        the page of a developer's own test that failed      render    templates and style
story      one run as rows on one clock                        words     what may be shown of a text
svg        the drawing: every picture is made of its shapes    folder    the files of a report
versions   the page of a matrix over versions

timeline, wire, census: a case's pictures; strip, orders, silence: an exploration's.
"""
