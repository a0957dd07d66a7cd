"""What commands show to people: colour, tables, lines that change in place, figures in few letters.

Nothing here knows what is shown.
"""
