"""What the programs share. Each is told where the sidecar is and a token, and prints one line of JSON."""

import sys


def arguments():
    return sys.argv[1:]


def told(ask):
    """Which error the library makes of a refusal, with what it says of it."""
    try:
        ask()
    except Exception as error:
        body = getattr(error, "body", None)
        code = body.get("code") if isinstance(body, dict) else None
        return [type(error).__name__, getattr(error, "status_code", None), code]
    return ["no error"]
