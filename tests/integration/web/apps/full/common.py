"""What the applications of this folder have in common."""


def job(times):
    for number in range(times):
        print("Task", number)


def allow(verb, run, request):
    original = request.original  # the framework's own: those of Django and aiohttp have its route
    if hasattr(original, "META"):
        known = original.resolver_match
    elif hasattr(original, "match_info"):
        known = original.match_info.route
    else:
        known = original.keys() & {"PATH_INFO", "path"}
    return bool(known) and verb != "delete"


OPTIONS = {"commands": {"greet": {"command": "echo hello", "title": "Greet"}}, "authorize": allow}
