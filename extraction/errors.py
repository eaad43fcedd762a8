"""Other libraries' errors, in few words."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its name if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
