"""The one exception that the command line turns into a message instead of a traceback."""


class UserError(Exception):
    """Something the user can mend: a file, a field, a value, a missing tool.

    The message names the file, the field and the value, and ends with the way out.
    """
