"""Pictures as SVG: pure functions from numbers to markup, coloured by CSS classes only.

A picture is there with the first paint, follows the theme, prints, and needs no script. It is
hidden from assistive technology: the same numbers stand in a table beside it.
"""
